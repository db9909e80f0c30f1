"""The cold start: time to the first answer of a new execution environment, memory and package."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.functions import BARE, BOTO3_SECRET, FASTAPI, POWERTOOLS, SERVICE
from benchmarks.measure import Bars, Section, Spread, Table, Target, in_turn, number, shown
from benchmarks.rig import Rig, post_trade, rig
from benchmarks.runtime import Code
from service.deploy.build import built_template
from shared.cli.errors import UserError

_CONTENDERS = {
    "bare pymysql": BARE,
    "this service": SERVICE,
    "bare pymysql, secret by boto3": BOTO3_SECRET,
    "FastAPI + Mangum + SQLAlchemy": FASTAPI,
    "Powertools idempotency": POWERTOOLS,
}
_BUILD = built_template(os.environ).parent
_PACKAGES = ("TradeFunction", "DependenciesLayer")
_WARM_REQUESTS = 100

_TEXT = """\
From the start of the process to the first answer to `POST /trade`. This includes the interpreter,
the runtime client, all imports, the connection over TLS and the `INSERT`. Files are in the page
cache. The service also asks Secrets Manager for its password; here the answer is immediate. The
peers get theirs in a variable. The service does not load boto3 before its first answer. One
contender loads it for that call, to show the cost. On AWS the call adds a TLS handshake and a round
trip, with or without boto3. Code is compiled, as in a package built with Python 3.13. One row shows
the cost without. Memory is the peak after a hundred more requests. The package is what
`make build-service` built, code and layer, zipped.\
"""

_REASON = (
    "Done: no boto3 (220 ms less), compiled files in the package (160 ms less). Most of the "
    "rest above pymysql is Powertools: its resolver for API Gateway imports those for other "
    "services, and asyncio. Tried and rejected: loading it without them saves 13 ms, but "
    "needs a package assembled by hand. Named tuples instead of the 28 data classes would save up "
    "to 10 ms, but they have neither base classes nor checks of their own."
)


@dataclass(frozen=True)
class _Start:
    """Milliseconds, and bytes."""

    init: float
    first: float
    memory: int


def run(quick: bool) -> Section:
    """Measure cold starts."""
    if not _BUILD.is_dir():
        raise UserError("the service is not built: run `make build-service`")
    with rig() as here:
        contenders = {**_CONTENDERS, "this service, not compiled": _not_compiled(here.folder)}
        for code in contenders.values():
            _start(here, code)  # compiles the files, and fills the page cache
        found = in_turn(
            {name: partial(_start, here, code) for name, code in contenders.items()},
            4 if quick else 21,
        )
    return _section(found, {name: _zipped(_BUILD / name) for name in _PACKAGES})


def _not_compiled(folder: Path) -> Code:
    """The built service, with source only."""
    task, layer = (folder / name for name in _PACKAGES)
    for copy in (task, layer):
        shutil.copytree(_BUILD / copy.name, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return Code(SERVICE.handler, [task, layer / "python"], {"PYTHONDONTWRITEBYTECODE": "1"})


def _start(here: Rig, code: Code) -> _Start:
    with here.function(code) as environment:
        first = environment.invoke(post_trade()).seconds
        for _ in range(_WARM_REQUESTS):
            environment.invoke(post_trade())
        return _Start(environment.init_seconds * 1000, first * 1000, environment.peak_memory())


def _zipped(folder: Path) -> int:
    """The size of a folder as a ZIP file, in bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            package.write(file, file.relative_to(folder))
    return archive.getbuffer().nbytes


def _section(found: Mapping[str, Sequence[_Start]], package: Mapping[str, int]) -> Section:
    total = {name: Spread.of([s.init + s.first for s in starts]) for name, starts in found.items()}
    memory = {name: Spread.of([s.memory / 1e6 for s in starts]) for name, starts in found.items()}
    bare, ours, _, fastapi, *_ = found
    size = sum(package.values()) / 1e6
    return Section(
        title="Cold start",
        text=_TEXT,
        targets=[
            Target(
                "cold start, to bare pymysql", "ms", total[ours], 2.5, total[bare], reason=_REASON
            ),
            Target("cold start, to FastAPI", "ms", total[ours], 1 / 3, total[fastapi]),
            Target("memory", "MB", memory[ours], 60, kind="absolute"),
            Target("package, zipped", "MB", Spread.of([size]), 6, kind="absolute"),
        ],
        tables=[
            Table(
                "Milliseconds, and MB of memory",
                ("", "until it is ready", "first request", "both", "memory"),
                [
                    (
                        name,
                        shown(Spread.of([start.init for start in starts])),
                        shown(Spread.of([start.first for start in starts])),
                        shown(total[name]),
                        number(memory[name].median),
                    )
                    for name, starts in found.items()
                ],
            ),
            Table(
                "MB, zipped",
                ("", ""),
                [(name, number(size / 1e6)) for name, size in package.items()],
            ),
        ],
        charts=[Bars("Cold start to the first answer", "milliseconds", list(total.items()))],
    )
