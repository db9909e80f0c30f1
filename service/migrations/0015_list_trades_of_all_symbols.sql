-- Finds a page of all symbols.
ALTER TABLE trades
    ADD INDEX trades_of_all_symbols (side, status, created_at, trade_id),
    ALGORITHM = INPLACE,
    LOCK = NONE
