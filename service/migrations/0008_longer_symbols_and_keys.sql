-- MySQL extends a VARCHAR within 255 bytes by a change of metadata alone:
-- https://dev.mysql.com/doc/refman/8.0/en/innodb-online-ddl-operations.html
-- safe because every value that a running release stores still fits, and none reads a length
ALTER TABLE trades
    MODIFY symbol VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    MODIFY client_order_id VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NULL,
    ALGORITHM = INPLACE,
    LOCK = NONE
