"""What a migration takes out of the database for good, and whether its author says so."""

from __future__ import annotations

import re
from collections.abc import Iterator

LOSS = "-- loses "
COMMENT = re.compile(r"--[^\n]*")
# `DROP a` and `DROP COLUMN a` of an ALTER TABLE; the column's name follows.
DROPS_COLUMN = (
    r"\bDROP(?:\s+COLUMN|(?!\s+(?:COLUMN|TABLE|INDEX|KEY|PRIMARY|FOREIGN|CONSTRAINT|CHECK|TRIGGER"
    r"|PARTITION)\b))"
)

_NAME = r"\s+`?(\w+)`?"
_COLUMN = re.compile(DROPS_COLUMN + _NAME, re.IGNORECASE)
_TABLE = re.compile(rf"DROP\s+(?:TABLE|DATABASE|SCHEMA)(?:\s+IF\s+EXISTS)?{_NAME}", re.IGNORECASE)
_ROWS = re.compile(
    r"TRUNCATE\b|(?:WITH\b.*)?\bDELETE\b|\bREPLACE\b|ALTER\b.*\b(?:DROP|TRUNCATE)\s+PARTITION\b",
    re.IGNORECASE | re.DOTALL,
)
_UPDATE = re.compile(r"(?:WITH\b.*)?\bUPDATE\b.*?\bSET\b(.*?)(\bWHERE\b.*)?\Z", re.I | re.DOTALL)
_UPSERT = re.compile(r"INSERT\b.*\bON\s+DUPLICATE\s+KEY\s+UPDATE\b(.*)()\Z", re.I | re.DOTALL)
# A name in front of a `=` that is not within parentheses.
_ASSIGNED = re.compile(r"(?:^|,)\s*(?:`?\w+`?\.)?`?(\w+)`?\s*=")
_NESTED = re.compile(r"\([^()]*\)")


def losses(text: str) -> Iterator[str]:
    """What of the data is gone after a migration, as far as its words tell.

    A trigger changes no rows while it is created. An update that only fills a column where it has
    no value (`WHERE a IS NULL`) loses nothing.
    """
    statement = COMMENT.sub("", text).strip()
    if table := _TABLE.match(statement):
        yield f"the table {table[1]}"
    if _ROWS.match(statement):
        yield "rows"
    if statement[:5].upper() == "ALTER":
        yield from (f"the column {column}" for column in _COLUMN.findall(statement))
    if update := _UPDATE.match(statement) or _UPSERT.match(statement):
        assignments, where = update[1], update[2] or ""
        while _NESTED.search(assignments):
            assignments = _NESTED.sub("", assignments)
        for column in _ASSIGNED.findall(assignments):
            if not re.search(rf"\b{column}`?\s+IS\s+NULL\b", where, re.IGNORECASE):
                yield f"values of the column {column}"


def admitted(text: str) -> str:
    """What a migration loses in its author's words; may be empty."""
    lines = (line.strip() for line in text.splitlines())
    return next((line.removeprefix(LOSS) for line in lines if line.startswith(LOSS)), "")


def unsaid(text: str) -> str:
    """What a migration loses without its author's word; empty if there is nothing."""
    return "" if admitted(text) else ", ".join(losses(text))
