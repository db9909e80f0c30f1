-- The same as 0028, for the status of voids: the archive would write `VOID `.
-- safe because every release changes the status of a trade to VOID only
CREATE TRIGGER trades_voided_form BEFORE UPDATE ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1)
        AND (NEW.status LIKE 'VOID') IS NOT TRUE
    THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a void must have the status VOID';
    END IF;
END
