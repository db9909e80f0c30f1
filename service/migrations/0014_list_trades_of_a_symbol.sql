-- Finds a page of a symbol, and recounts its position. `trades_by_symbol` stays for the release that
-- runs now; a later release drops it.
ALTER TABLE trades
    ADD INDEX trades_of_a_symbol (
        symbol, side, status, created_at, trade_id, quantity, fraction
    ),
    ALGORITHM = INPLACE,
    LOCK = NONE
