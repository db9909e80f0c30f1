-- In place of the constraint trades_status, which goes in 0007.
-- safe because the constraint holds the same rule already
CREATE TRIGGER trades_status_changed BEFORE UPDATE ON trades FOR EACH ROW
BEGIN
    IF NOT (
        (NEW.status = 'SUCCESS' AND NEW.voided_at IS NULL AND NEW.voided_by IS NULL)
        OR (NEW.status = 'VOID' AND NEW.voided_at IS NOT NULL AND NEW.voided_by IS NOT NULL)
    ) THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'status must agree with voided_at and voided_by';
    END IF;
END
