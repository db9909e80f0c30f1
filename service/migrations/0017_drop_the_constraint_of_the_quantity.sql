-- A quantity of 0.5 is 0 and a fraction of 0.5.
-- safe because triggers hold the rule since 0011 and 0012
ALTER TABLE trades
    DROP CONSTRAINT trades_quantity,
    ALGORITHM = INPLACE,
    LOCK = NONE
