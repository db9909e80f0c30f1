-- A trade can be voided once, now, and nothing else of it ever changes.
-- safe because every release changes a trade only from SUCCESS to VOID and with the present time
CREATE TRIGGER trades_voided BEFORE UPDATE ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1) THEN
        IF OLD.status <> 'SUCCESS' THEN
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a void trade must not change';
        END IF;
        IF NEW.status <> 'VOID' THEN
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a trade must not change, except to VOID';
        END IF;
        IF ABS(TIMESTAMPDIFF(SECOND, NEW.voided_at, UTC_TIMESTAMP(6))) > 300 THEN
            SIGNAL SQLSTATE '45000'
                SET MESSAGE_TEXT = 'voided_at must be within 300 s of the time of the database';
        END IF;
    END IF;
END
