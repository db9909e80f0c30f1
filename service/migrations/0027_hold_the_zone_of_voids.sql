-- The same as 0026, for voids.
-- safe because no release sets the time zone of its session
CREATE TRIGGER trades_voided_zone BEFORE UPDATE ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1)
        AND @@SESSION.time_zone <> @@GLOBAL.time_zone
    THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a session must have the time zone of the server';
    END IF;
END
