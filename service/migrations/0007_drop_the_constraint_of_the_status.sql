-- With this constraint, MySQL extends no column of the table in place (error 1845). To add it again
-- would copy the table.
-- safe because triggers hold the same rule since 0005 and 0006
ALTER TABLE trades
    DROP CONSTRAINT trades_status,
    ALGORITHM = INPLACE,
    LOCK = NONE
