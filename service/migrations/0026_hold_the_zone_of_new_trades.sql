-- The rules for the clock compare local times of the session. In the night in which a time zone puts
-- its clocks back, two moments have one local time: a session of that zone could book a trade at the
-- other one. The server's own zone is UTC, where no clock is put back.
-- https://dev.mysql.com/doc/refman/8.0/en/time-zone-support.html
-- safe because no release sets the time zone of its session
CREATE TRIGGER trades_booked_zone BEFORE INSERT ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1)
        AND @@SESSION.time_zone <> @@GLOBAL.time_zone
    THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a session must have the time zone of the server';
    END IF;
END
