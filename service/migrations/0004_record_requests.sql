-- Which request booked or voided a trade: its access key leads to CloudTrail, its ID to the access
-- log of API Gateway. `voided_caller` is to a void what `caller` is to a booking.
ALTER TABLE trades
    ADD COLUMN access_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN request_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN voided_caller VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN voided_access_key VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN voided_request_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ADD COLUMN void_reason VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    ALGORITHM = INSTANT
