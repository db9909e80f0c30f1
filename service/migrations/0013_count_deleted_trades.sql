-- Only the owner of the schema may delete a trade.
-- safe because no release deletes trades
CREATE TRIGGER trades_deleted_position AFTER DELETE ON trades FOR EACH ROW
    INSERT INTO positions (symbol, slot, quantity)
    VALUES (
        OLD.symbol,
        1 + CONNECTION_ID() % 8,
        IF(OLD.status = 'VOID', 0, IF(OLD.side = 'SELL', 1, -1) * (OLD.quantity + OLD.fraction))
    ) AS change_by
    ON DUPLICATE KEY UPDATE quantity = positions.quantity + change_by.quantity
