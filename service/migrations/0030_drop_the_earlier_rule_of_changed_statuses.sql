-- safe because 0025 holds the rule
DROP TRIGGER IF EXISTS trades_status_changed
