-- The same as 0024, for voids.
-- safe because every release changes a trade only from SUCCESS to VOID and with the present time
CREATE TRIGGER trades_voided_complete BEFORE UPDATE ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND (
        NEW.status = 'VOID'
        AND NEW.voided_by IS NOT NULL
        AND ABS(TIMESTAMPDIFF(SECOND, NEW.voided_at, UTC_TIMESTAMP(6))) <= 300
    ) IS NOT TRUE THEN
        SIGNAL SQLSTATE '45000'
            SET MESSAGE_TEXT = 'a void must have the status VOID, the present time and a name';
    END IF;
END
