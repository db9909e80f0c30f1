-- safe because it changes no trade and refuses none
CREATE TRIGGER trades_voided_event AFTER UPDATE ON trades FOR EACH ROW
BEGIN
    DECLARE is_placed BOOLEAN DEFAULT FALSE;
    -- A follower has given up the number, because it was missing for too long: take the next one.
    DECLARE CONTINUE HANDLER FOR 1062 SET is_placed = FALSE;
    WHILE NOT is_placed AND OLD.status = 'SUCCESS' AND NEW.status = 'VOID' DO
        SET is_placed = TRUE;
        INSERT INTO trade_events (trade_id, kind) VALUES (NEW.trade_id, 'VOIDED');
    END WHILE;
END
