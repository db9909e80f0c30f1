-- The rules for new trades compare times with UTC_TIMESTAMP, which a session can set by its variable
-- `timestamp`, without any privilege. SYSDATE follows the clock of the server.
-- https://dev.mysql.com/doc/refman/8.0/en/date-and-time-functions.html#function_sysdate
-- safe because no release sets the variable
CREATE TRIGGER trades_booked_clock BEFORE INSERT ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1)
        AND ABS(TIMESTAMPDIFF(SECOND, NOW(6), SYSDATE(6))) > 300
    THEN
        SIGNAL SQLSTATE '45000'
            SET MESSAGE_TEXT = 'the time of the session must be within 300 s of the server''s';
    END IF;
END
