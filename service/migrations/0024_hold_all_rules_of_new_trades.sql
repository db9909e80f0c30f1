-- Only the owner of the schema may repair trades. Everybody else books them as they happen. The server
-- compares the user's name with the trigger's definer, which is the owner. One trigger holds what 0002,
-- 0005 and 0022 hold, and more: each trigger takes 1 % of the time of a POST /trade.
--
-- A session can choose a lot without any privilege, so no rule trusts it:
-- - Without strict mode, a status or a time is NULL, zero or no date. A comparison with NULL is not
--   true, and each rule asks for what is true.
--   https://dev.mysql.com/doc/refman/8.0/en/sql-mode.html#sql-mode-strict
-- - UTC_TIMESTAMP follows its variable `timestamp`. SYSDATE follows the clock of the server.
--   https://dev.mysql.com/doc/refman/8.0/en/date-and-time-functions.html#function_sysdate
-- - In the night in which a time zone puts its clocks back, two moments have one local time. The
--   server's own zone is UTC, where no clock is put back.
--   https://dev.mysql.com/doc/refman/8.0/en/time-zone-support.html
-- - A comparison ignores spaces at the end, which the archive would write. LIKE ignores none.
--   https://dev.mysql.com/doc/refman/8.0/en/string-comparison-functions.html#operator_like
-- Nobody could void a trade whose ID has another form, and followers could not pass it: the API knows
-- no such ID.
-- safe because every release books trades with the status SUCCESS, the present time and such an ID
CREATE TRIGGER trades_booked_rules BEFORE INSERT ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1) THEN
        IF (NEW.status = 'SUCCESS') IS NOT TRUE THEN
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a new trade must have the status SUCCESS';
        END IF;
        IF (ABS(TIMESTAMPDIFF(SECOND, NEW.created_at, UTC_TIMESTAMP(6))) <= 300) IS NOT TRUE THEN
            SIGNAL SQLSTATE '45000'
                SET MESSAGE_TEXT = 'created_at must be within 300 s of the time of the database';
        END IF;
        IF ABS(TIMESTAMPDIFF(SECOND, NOW(6), SYSDATE(6))) > 300 THEN
            SIGNAL SQLSTATE '45000'
                SET MESSAGE_TEXT = 'the time of the session must be within 300 s of the server''s';
        END IF;
        IF @@SESSION.time_zone <> @@GLOBAL.time_zone THEN
            SIGNAL SQLSTATE '45000'
                SET MESSAGE_TEXT = 'a session must have the time zone of the server';
        END IF;
        IF NEW.side LIKE '% ' OR (
            NEW.status LIKE 'SUCCESS'
            AND LENGTH(NEW.trade_id) = 32
            AND NEW.trade_id LIKE 'TRADE-%'
            AND NEW.trade_id = UPPER(NEW.trade_id)
            AND UNHEX(SUBSTRING(NEW.trade_id, 7)) IS NOT NULL
        ) IS NOT TRUE THEN
            SIGNAL SQLSTATE '45000'
                SET MESSAGE_TEXT = 'a new trade must have an ID, a status and a side of the service';
        END IF;
    END IF;
    IF (
        (NEW.status = 'SUCCESS' AND NEW.voided_at IS NULL AND NEW.voided_by IS NULL)
        OR (NEW.status = 'VOID' AND NEW.voided_at IS NOT NULL AND NEW.voided_by IS NOT NULL)
    ) IS NOT TRUE THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'status must agree with voided_at and voided_by';
    END IF;
END
