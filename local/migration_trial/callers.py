"""The callers of one version of the code: processes of it, and what they were answered."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from shared.cli.errors import UserError

_SCRIPT = Path(__file__).with_name("caller.py")
_START_SECONDS = 60
_END_SECONDS = 40
_OK = 200
_BOOKINGS = ("book", "replay")


class Answered(NamedTuple):
    """A request: when it was answered (monotonic seconds), what it was, and its status."""

    at: float
    kind: str
    status: int


class Callers:
    """Some execution environments of a version of the code, which call it until the block ends."""

    def __init__(self, sources: Path, count: int, variables: Mapping[str, str], log: Path) -> None:
        """`sources` is the version's `service/src`; its events lie next to it."""
        self._command = [sys.executable, str(_SCRIPT), str(_event(sources))]
        self._variables = {**os.environ, **variables, "PYTHONPATH": str(sources)}
        self._count = count
        self._log = log
        self._processes: list[subprocess.Popen[str]] = []
        self._threads: list[threading.Thread] = []
        self._answered: list[Answered] = []

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            for _ in range(self._count):
                process = subprocess.Popen(
                    self._command,
                    env=self._variables,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
                self._processes.append(process)
                thread = threading.Thread(target=self._listen, args=(process.stdout,), daemon=True)
                thread.start()
                self._threads.append(thread)
        self._await_bookings()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            if process.stdin:
                process.stdin.close()
        for process in self._processes:
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for thread in self._threads:
            thread.join()

    def bookings(self) -> list[float]:
        """When trades were booked, or found to be booked, in order."""
        return sorted(
            each.at for each in self._answered if each.kind in _BOOKINGS and each.status == _OK
        )

    def errors(self, since: float) -> list[Answered]:
        """The requests since an instant that got no good answer."""
        return [each for each in self._answered if each.status != _OK and each.at >= since]

    def _listen(self, lines: IO[str]) -> None:
        for line in lines:
            at, kind, status = line.split()
            self._answered.append(Answered(float(at), kind, int(status)))

    def _await_bookings(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self.bookings():
            ended = any(process.poll() is not None for process in self._processes)
            if ended or time.monotonic() > deadline:
                raise UserError(f"the code books no trade:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.05)


def longest_gap(bookings: list[float], since: float, until: float) -> float:
    """The longest time without a booking between two instants, in seconds."""
    inside = [since, *(at for at in bookings if since < at < until), until]
    return max(after - before for before, after in pairwise(inside))


def _event(sources: Path) -> Path:
    return sources.parent / "events" / "post_trade_with_key.json"
