-- Nobody could void a trade whose ID has another form: the API knows no such trade. Followers whose
-- page ends with it would get a cursor that the API refuses. And a comparison ignores spaces at the
-- end, which the archive writes: `SUCCESS ` is no status, and `BUY ` no side. LIKE ignores none.
-- https://dev.mysql.com/doc/refman/8.0/en/string-comparison-functions.html#operator_like
-- safe because every release gives IDs of this form, and books with these words
CREATE TRIGGER trades_booked_form BEFORE INSERT ON trades FOR EACH ROW
BEGIN
    IF SUBSTRING_INDEX(USER(), '@', 1) <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND (
        (
            REGEXP_LIKE(NEW.trade_id, '^TRADE-[0-9A-F]{26}$', 'c') AND NEW.status LIKE 'SUCCESS'
        ) IS NOT TRUE
        OR NEW.side LIKE '% '
    ) THEN
        SIGNAL SQLSTATE '45000'
            SET MESSAGE_TEXT = 'a new trade must have an ID, a status and a side of the service';
    END IF;
END
