"""Asks a server how it carries out a statement, on tables with the schema and a few rows.

The server decides between algorithms by the schema and the statement, not by how many rows there
are. It is asked for the cheapest first, and its no leads to the next:
https://dev.mysql.com/doc/refman/8.0/en/innodb-online-ddl-operations.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

from service.tools.migration_verdicts import (
    COPY,
    INPLACE,
    INSTANT,
    METADATA,
    ROWS,
    Verdict,
    checksum,
)

# From the cheapest to the dearest. INSTANT knows no lock of its own.
_OFFERS = (
    (INSTANT, "DEFAULT"),
    (INPLACE, "NONE"),
    (INPLACE, "SHARED"),
    (INPLACE, "EXCLUSIVE"),
    (COPY, "SHARED"),
    (COPY, "EXCLUSIVE"),
)
# "Not with this algorithm or lock."
_REFUSED = {
    1221,  # wrong usage of a lock
    1845,  # not supported for this operation
    1846,  # not supported, for a reason
    1847,
    4092,  # not supported together with an instant change
}
_COMMENT = re.compile(r"--[^\n]*(\n|$)|/\*.*?\*/", re.DOTALL)
_ALTER = re.compile(r"(?P<head>ALTER\s+TABLE\s+(?P<table>[\w.`]+))\s+(?P<rest>.*)", re.I | re.S)
_INDEX = re.compile(
    r"(CREATE\s+(UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?|DROP\s+)INDEX\s+[\w`]+\s+"
    r"(USING\s+\w+\s+)?ON\s+(?P<table>[\w.`]+).*",
    re.I | re.S,
)
_ROWS = re.compile(r"(UPDATE|DELETE|INSERT|REPLACE|WITH|LOAD)\b", re.I)
_LITTLE = re.compile(r"CREATE\s+(TABLE|TRIGGER|VIEW|OR\s+REPLACE\s+VIEW)\b|DROP\s+TRIGGER\b", re.I)
_WISH = re.compile(r",?\s*\b(ALGORITHM|LOCK)\s*=\s*(\w+)\s*,?", re.I)
_TABLE_ID = (
    "SELECT table_id FROM information_schema.innodb_tables WHERE name = CONCAT(DATABASE(), '/', %s)"
)


@dataclass(frozen=True)
class _Change:
    """A change of a table, without its own wishes of algorithm and lock."""

    table: str
    before: str
    after: str
    separator: str
    wishes: dict[str, str]

    def asking(self, algorithm: str, lock: str) -> str:
        """The statement that asks for an algorithm and a lock."""
        wish = f"ALGORITHM={algorithm}{self.separator} LOCK={lock}"
        if self.separator:
            partition = self.after.upper().startswith(("PARTITION", "REMOVE"))
            return f"{self.before} {wish}{' ' if partition or not self.after else ', '}{self.after}"
        return f"{self.before} {wish}"


def probe(connection: Connection[Cursor], text: str) -> Verdict:
    """Carry out a migration on the connection's schema, and say how the server did so.

    Raises:
        pymysql.err.MySQLError: the server refuses the statement with every algorithm.
    """
    statement = _COMMENT.sub(" ", text).strip().rstrip(";")
    change = _change(statement)
    if change is None:
        with connection.cursor() as cursor:
            cursor.execute(text)
        connection.commit()
        return _of_the_whole(statement, checksum(text))
    refused: MySQLError | None = None
    for algorithm, lock in _offers(change.wishes):
        with connection.cursor() as cursor:
            before = _table_id(cursor, change.table)
            try:
                cursor.execute(change.asking(algorithm, lock))
            except MySQLError as error:
                if error.args[0] not in _REFUSED:
                    raise
                refused = error
                continue
            rebuilds = _table_id(cursor, change.table) != before
        held = "NONE" if lock == "DEFAULT" else lock
        return Verdict(checksum(text), algorithm, held, rebuilds)
    assert refused is not None  # noqa: S101 - there is at least one offer
    raise refused


def _of_the_whole(statement: str, digest: str) -> Verdict:
    if _ROWS.match(statement):
        return Verdict(digest, ROWS, "NONE", rebuilds=False)
    if _LITTLE.match(statement):
        return Verdict(digest, METADATA, "NONE", rebuilds=False)
    # RENAME, TRUNCATE, OPTIMIZE, DROP TABLE and the like leave no old table to the others.
    return Verdict(digest, METADATA, "EXCLUSIVE", rebuilds=False)


def _change(statement: str) -> _Change | None:
    wishes = {word.upper(): value.upper() for word, value in _WISH.findall(statement)}
    if alter := _ALTER.fullmatch(statement):
        rest = _WISH.sub(_joint, alter["rest"]).strip().strip(",").strip()
        return _Change(_name(alter["table"]), alter["head"], rest, ",", wishes)
    if index := _INDEX.fullmatch(statement):
        bare = _WISH.sub(" ", statement).strip()
        return _Change(_name(index["table"]), bare, "", "", wishes)
    return None


def _joint(wish: re.Match[str]) -> str:
    """What is left where a wish stood between two actions, or at an end."""
    text = wish.group(0).strip()
    return ", " if text.startswith(",") and text.endswith(",") else " "


def _offers(wishes: dict[str, str]) -> list[tuple[str, str]]:
    algorithm, lock = wishes.get("ALGORITHM", "DEFAULT"), wishes.get("LOCK", "DEFAULT")
    return [
        (offered, held)
        for offered, held in _OFFERS
        if algorithm in ("DEFAULT", offered) and (lock in ("DEFAULT", held) or offered == INSTANT)
    ]


def _name(written: str) -> str:
    return written.replace("`", "").rpartition(".")[2]


def _table_id(cursor: Cursor, name: str) -> tuple[object, ...]:
    cursor.execute(_TABLE_ID, (name,))
    return cursor.fetchall()
