-- safe because 0024 holds the rule
DROP TRIGGER IF EXISTS trades_booked
