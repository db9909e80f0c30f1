-- The service gives up numbers of events that stay missing, all of them before an event that is there.
-- A number of the future would take its place from an event; the largest one would stop the book. A
-- session can choose the next number by its variables, without any privilege.
-- safe because every release gives up only numbers before the last event, and sets no such variable
CREATE TRIGGER trade_events_given_up BEFORE INSERT ON trade_events FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1) THEN
        IF @@SESSION.insert_id <> 0
            OR @@SESSION.auto_increment_increment <> @@GLOBAL.auto_increment_increment
        THEN
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no session may choose the number of an event';
        END IF;
        -- The triggers on `trades` name a trade, and leave the number to the table: it is 0 here.
        IF NEW.trade_id IS NULL AND (
            NEW.event_id = 0 OR NEW.event_id > COALESCE((SELECT MAX(event_id) FROM trade_events), 0)
        ) THEN
            SIGNAL SQLSTATE '45000'
                SET MESSAGE_TEXT = 'only the number of a missing event can be given up';
        END IF;
    END IF;
END
