"""Writes each day's trades to the data bucket: `handler` over `days`, `rows` and `files`."""
