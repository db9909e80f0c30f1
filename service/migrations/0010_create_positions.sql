-- The position of a symbol is the sum of its slots. Triggers on `trades` keep them in the trade's own
-- transaction. Each connection has one slot of eight, so that trades of one symbol seldom wait for
-- each other. Slot 0 holds the trades that were booked before the triggers.
CREATE TABLE positions (
    symbol VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    slot TINYINT UNSIGNED NOT NULL,
    quantity DECIMAL(38, 9) NOT NULL,
    PRIMARY KEY (symbol, slot)
) ENGINE = InnoDB
