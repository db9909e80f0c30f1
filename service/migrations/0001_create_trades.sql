-- Times are UTC and set by the service: DATETIME does not depend on a session's time zone.
CREATE TABLE trades (
    trade_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME(6) NOT NULL,
    status VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    symbol VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    side VARCHAR(4) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    quantity BIGINT NOT NULL,
    price DECIMAL(18, 6) NULL,
    client_order_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    -- What `client_order_id` is unique within, and who booked the trade.
    caller VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    account VARCHAR(12) CHARACTER SET ascii COLLATE ascii_bin NULL,
    principal VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    voided_at DATETIME(6) NULL,
    voided_by VARCHAR(2048) CHARACTER SET ascii COLLATE ascii_bin NULL,
    PRIMARY KEY (trade_id),
    UNIQUE KEY trades_by_client_order_id (caller, client_order_id),
    -- Lists are filtered, and positions summed, from an index alone: rows lie elsewhere on the disk.
    KEY trades_by_time (created_at, trade_id, status, side),
    KEY trades_by_symbol (symbol, created_at, trade_id, status, side, quantity),
    CONSTRAINT trades_side CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT trades_quantity CHECK (quantity > 0),
    CONSTRAINT trades_price CHECK (price > 0),
    CONSTRAINT trades_status CHECK (
        (status = 'SUCCESS' AND voided_at IS NULL AND voided_by IS NULL)
        OR (status = 'VOID' AND voided_at IS NOT NULL AND voided_by IS NOT NULL)
    )
) ENGINE = InnoDB
