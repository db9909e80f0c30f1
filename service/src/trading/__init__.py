"""The trade service: `api` (routes) over `trades` (rules) over `store` (SQL)."""
