"""Finds a point in time in a MySQL server's binary log."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

NAME = "binlog"

_MAGIC_BYTES = 4
# https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Log__event__header.html:
# time in seconds, type, server, length, end, flags.
_HEADER = struct.Struct("<IBIIIH")
# Each transaction begins with this event: flags, UUID of the first server, number.
# https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Gtid__event.html
_GTID_EVENT = 33
_GTID = struct.Struct("<B16sQ")


def transactions_before(moment: datetime, data: Path) -> str:
    """The GTID set of the transactions committed before a moment; empty if there are none.

    `data` is the server's data folder; the server may run. Times in the log are in whole seconds.
    """
    last: dict[uuid.UUID, int] = {}
    for file in sorted(data.glob(f"{NAME}.[0-9]*")):
        for seconds, server, number in _transactions(file):
            if seconds >= int(moment.timestamp()):
                return _set(last)
            last[server] = number
    return _set(last)


def _set(last: dict[uuid.UUID, int]) -> str:
    # The log is complete, so each server's numbers start at 1.
    return ",".join(f"{server}:1-{number}" for server, number in last.items())


def _transactions(file: Path) -> Iterator[tuple[int, uuid.UUID, int]]:
    with file.open("rb") as log:
        start = _MAGIC_BYTES
        while True:
            log.seek(start)
            event = log.read(_HEADER.size + _GTID.size)
            if len(event) < _HEADER.size + _GTID.size:
                return  # the end, or an unfinished event
            seconds, kind, _, length, _, _ = _HEADER.unpack_from(event)
            if kind == _GTID_EVENT:
                _, server, number = _GTID.unpack_from(event, _HEADER.size)
                yield seconds, uuid.UUID(bytes=server), number
            start += length
