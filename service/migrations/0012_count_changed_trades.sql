-- A void takes a trade out of its position. The owner of the schema may also repair other columns.
-- safe because it refuses no change that a release makes, and changes nothing that a release reads
CREATE TRIGGER trades_changed_position AFTER UPDATE ON trades FOR EACH ROW
BEGIN
    IF NEW.quantity < 0 OR NEW.fraction < 0 OR NEW.quantity + NEW.fraction = 0 THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a trade must have a quantity above 0';
    END IF;
    INSERT INTO positions (symbol, slot, quantity)
    VALUES (
        OLD.symbol,
        1 + CONNECTION_ID() % 8,
        IF(OLD.status = 'VOID', 0, IF(OLD.side = 'SELL', 1, -1) * (OLD.quantity + OLD.fraction))
    ), (
        NEW.symbol,
        1 + CONNECTION_ID() % 8,
        IF(NEW.status = 'VOID', 0, IF(NEW.side = 'SELL', -1, 1) * (NEW.quantity + NEW.fraction))
    ) AS change_by
    ON DUPLICATE KEY UPDATE quantity = positions.quantity + change_by.quantity;
END
