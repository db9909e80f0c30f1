-- The same as 0022, for voids.
-- safe because no release sets the variable
CREATE TRIGGER trades_voided_clock BEFORE UPDATE ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1)
        AND ABS(TIMESTAMPDIFF(SECOND, NOW(6), SYSDATE(6))) > 300
    THEN
        SIGNAL SQLSTATE '45000'
            SET MESSAGE_TEXT = 'the time of the session must be within 300 s of the server''s';
    END IF;
END
