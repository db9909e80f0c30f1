"""Migrations, good and bad, with the verdict that each must get: `corpus.toml`.

What was measured on a large table is in `measured.json`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from service.tools.migration_verdicts import COPY, reason

FILE = Path(__file__).with_name("corpus.toml")


@dataclass(frozen=True)
class Case:
    """A migration on the service's own schema, after a `setup`, and what must come of it.

    `algorithm`, `lock` and `rebuilds` are the server's; with `fails`, it refuses the statement with
    this error. `refused` is a part of what the developer is told; empty if it is accepted.
    """

    name: str
    sql: str
    algorithm: str = ""
    lock: str = "NONE"
    rebuilds: bool = False
    refused: str = ""
    fails: int = 0
    setup: str = ""

    @property
    def excused(self) -> bool:
        """Whether it is accepted for its author's reason, although it stops trades."""
        return bool(reason(self.sql)) and (self.algorithm == COPY or self.lock != "NONE")


def cases() -> list[Case]:
    """All cases."""
    with FILE.open("rb") as file:
        return [Case(name, **each) for name, each in tomllib.load(file).items()]
