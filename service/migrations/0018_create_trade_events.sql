-- What happened in the book, in the order in which followers read it: `GET /events`. An event's number
-- is given before its transaction commits, so that a number that is missing may still come. A number
-- without a trade will not come any more.
CREATE TABLE trade_events (
    event_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    trade_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
    kind VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NULL,
    PRIMARY KEY (event_id),
    KEY trade_events_by_trade (trade_id)
) ENGINE = InnoDB
