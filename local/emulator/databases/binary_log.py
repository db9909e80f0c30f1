"""Where in a MariaDB server's binary log a point in time is."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

NAME = "binlog"

_MAGIC_BYTES = 4
# https://mariadb.com/kb/en/2-binlog-event-header/: time, type, server, length, end, flags.
_HEADER = struct.Struct("<IBIIIH")
# Begins each change. https://mariadb.com/kb/en/gtid_event/: sequence number, domain.
_GTID_EVENT = 162
_GTID = struct.Struct("<QI")


def position_before(moment: datetime, data: Path) -> str:
    """The last change of a server that was made before a moment, empty if there is none.

    `data` is the server's data folder; the server may run. Times in the log are in whole seconds.
    """
    last = ""
    for file in sorted(data.glob(f"{NAME}.[0-9]*")):
        for seconds, position in _changes(file):
            if seconds >= int(moment.timestamp()):
                return last
            last = position
    return last


def _changes(file: Path) -> Iterator[tuple[int, str]]:
    with file.open("rb") as log:
        start = _MAGIC_BYTES
        while True:
            log.seek(start)
            event = log.read(_HEADER.size + _GTID.size)
            if len(event) < _HEADER.size + _GTID.size:
                return  # the end, or what is just being written
            seconds, kind, server, length, _, _ = _HEADER.unpack_from(event)
            if kind == _GTID_EVENT:
                number, domain = _GTID.unpack_from(event, _HEADER.size)
                yield seconds, f"{domain}-{server}-{number}"
            start += length
