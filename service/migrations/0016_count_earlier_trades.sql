-- Adds to each position what it lacks: the trades that were booked before the triggers. A batch reads
-- the trades and the positions of some symbols at one moment, when the triggers have counted all later
-- trades. So it is exact while trades are booked and voided. Slot 0 marks the symbols that are done.
-- repeat until no row changes
-- safe because no release has read or written positions before
INSERT INTO positions (symbol, slot, quantity)
SELECT
    symbol,
    0,
    COALESCE(
        (
            SELECT SUM(IF(side = 'SELL', -1, 1) * (quantity + fraction))
            FROM trades
            WHERE trades.symbol = earlier.symbol AND status = 'SUCCESS'
        ),
        0
    ) - COALESCE(
        (SELECT SUM(quantity) FROM positions AS counted WHERE counted.symbol = earlier.symbol),
        0
    )
FROM (SELECT DISTINCT symbol FROM trades) AS earlier
WHERE NOT EXISTS (
    SELECT 1 FROM positions AS done WHERE done.symbol = earlier.symbol AND done.slot = 0
)
LIMIT 20
