-- A trade can be voided once, now, and nothing else of it ever changes. The same as 0024, for what 0003,
-- 0006 and 0023 hold, and more.
-- safe because every release changes a trade only from SUCCESS to VOID and with the present time
CREATE TRIGGER trades_changed_rules BEFORE UPDATE ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1) THEN
        IF (OLD.status = 'SUCCESS') IS NOT TRUE THEN
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a void trade must not change';
        END IF;
        IF (NEW.status LIKE 'VOID') IS NOT TRUE THEN
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a trade must not change, except to VOID';
        END IF;
        IF (ABS(TIMESTAMPDIFF(SECOND, NEW.voided_at, UTC_TIMESTAMP(6))) <= 300) IS NOT TRUE THEN
            SIGNAL SQLSTATE '45000'
                SET MESSAGE_TEXT = 'voided_at must be within 300 s of the time of the database';
        END IF;
        IF ABS(TIMESTAMPDIFF(SECOND, NOW(6), SYSDATE(6))) > 300 THEN
            SIGNAL SQLSTATE '45000'
                SET MESSAGE_TEXT = 'the time of the session must be within 300 s of the server''s';
        END IF;
        IF @@SESSION.time_zone <> @@GLOBAL.time_zone THEN
            SIGNAL SQLSTATE '45000'
                SET MESSAGE_TEXT = 'a session must have the time zone of the server';
        END IF;
    END IF;
    IF (
        (NEW.status = 'SUCCESS' AND NEW.voided_at IS NULL AND NEW.voided_by IS NULL)
        OR (NEW.status = 'VOID' AND NEW.voided_at IS NOT NULL AND NEW.voided_by IS NOT NULL)
    ) IS NOT TRUE THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'status must agree with voided_at and voided_by';
    END IF;
END
