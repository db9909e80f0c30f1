-- A comparison with NULL refuses nothing. A session can turn the strict mode off, without any
-- privilege. It then books a trade whose status is NULL, or whose time is NULL, zero or no date.
-- https://dev.mysql.com/doc/refman/8.0/en/sql-mode.html#sql-mode-strict
-- safe because every release books trades with the status SUCCESS and with the present time
CREATE TRIGGER trades_booked_complete BEFORE INSERT ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND (
        NEW.status = 'SUCCESS'
        AND ABS(TIMESTAMPDIFF(SECOND, NEW.created_at, UTC_TIMESTAMP(6))) <= 300
    ) IS NOT TRUE THEN
        SIGNAL SQLSTATE '45000'
            SET MESSAGE_TEXT = 'a new trade must have the status SUCCESS and the present time';
    END IF;
END
