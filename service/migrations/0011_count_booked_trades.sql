-- safe because it refuses no trade that a release books, and changes nothing that a release reads
CREATE TRIGGER trades_booked_position AFTER INSERT ON trades FOR EACH ROW
BEGIN
    -- In place of the constraint trades_quantity, which goes in 0017.
    IF NEW.quantity < 0 OR NEW.fraction < 0 OR NEW.quantity + NEW.fraction = 0 THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'a trade must have a quantity above 0';
    END IF;
    INSERT INTO positions (symbol, slot, quantity)
    VALUES (
        NEW.symbol,
        1 + CONNECTION_ID() % 8,
        IF(NEW.status = 'VOID', 0, IF(NEW.side = 'SELL', -1, 1) * (NEW.quantity + NEW.fraction))
    ) AS change_by
    ON DUPLICATE KEY UPDATE quantity = positions.quantity + change_by.quantity;
END
