-- The part of a quantity behind the point. A change of the type of `quantity` would copy the table;
-- a new column is a change of metadata alone.
ALTER TABLE trades
    ADD COLUMN fraction DECIMAL(9, 9) NOT NULL DEFAULT 0,
    ALGORITHM = INSTANT
