-- Only the owner of the schema may repair trades. Everybody else books them as they happen. The
-- server compares the user's name with the trigger's definer, which is the owner.
-- safe because every release books trades with the status SUCCESS and with the present time
CREATE TRIGGER trades_booked BEFORE INSERT ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1) THEN
        IF NEW.status <> 'SUCCESS' THEN
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a new trade must have the status SUCCESS';
        END IF;
        IF ABS(TIMESTAMPDIFF(SECOND, NEW.created_at, UTC_TIMESTAMP(6))) > 300 THEN
            SIGNAL SQLSTATE '45000'
                SET MESSAGE_TEXT = 'created_at must be within 300 s of the time of the database';
        END IF;
    END IF;
END
