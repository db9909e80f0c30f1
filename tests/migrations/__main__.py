"""Runs the corpus on a large table, while callers book trades: `make test-migrations`.

It prints what was measured, writes `measured.json`, and fails if something that is accepted stops
trades for more than a second or makes requests fail. Arguments name some of the
cases.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from local.migration_trial.callers import Callers
from local.migration_trial.rig import DATABASE, Rig, rig
from local.migration_trial.trial import CALLERS, Version, measure
from migration.runner import Migration
from service.tools.migration_verdicts import LONGEST_GAP_SECONDS, Measured
from shared.cli.errors import UserError, exit_code
from shared.cli.table import table
from tests.migrations.corpus import Case, cases

ROOT = Path(__file__).resolve().parents[2]
MEASURED = Path(__file__).with_name("measured.json")


def run(folder: Path, wanted: list[Case], rows: int) -> Iterator[tuple[Case, Measured]]:
    """Apply each case to a table of its own, and say what callers saw."""
    released = Version(ROOT / "service")
    with rig(folder) as made:
        made.migrate(DATABASE, released.migrations)
        made.provide_users()
        made.fill(DATABASE, rows)
        made.server.stop()
        filled = folder / "filled"
        made.server.data.rename(filled)
        for case in wanted:
            shutil.copytree(filled, made.server.data)
            made.server.start()
            yield case, applied(made, case, released, rows)
            made.server.stop()
            shutil.rmtree(made.server.data)


def applied(made: Rig, case: Case, released: Version, rows: int) -> Measured:
    if case.setup:
        with made.connect() as connection:
            connection.query(case.setup)
    log = made.folder / "callers.log"
    with Callers(released.folder / "src", CALLERS, made.variables, log) as callers:
        time.sleep(2)
        change = Migration("9999_case", case.sql)
        return measure(made, callers, (*released.migrations, change), rows)


def main() -> None:
    rows = int(os.environ.get("ROWS") or 1_000_000)
    only = sys.argv[1:]
    wanted = [case for case in cases() if not case.fails and (not only or case.name in only)]
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory(prefix="corpus-") as name:
        for case, measured in run(Path(name), wanted, rows):
            found[case.name] = measured
            print(
                f"{len(found)}/{len(wanted)} {case.name}: {measured.seconds} s, gap "
                f"{measured.gap_seconds} s, {measured.errors} errors {measured.failure[:80]}",
                flush=True,
            )
    known = json.loads(MEASURED.read_text()) if MEASURED.is_file() else {}
    known |= {name: asdict(each) for name, each in found.items()}
    MEASURED.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
    shown = [
        (
            case.name,
            f"{found[case.name].seconds:.1f}",
            f"{found[case.name].gap_seconds:.2f}",
            str(found[case.name].errors),
            "refused" if case.refused else "accepted",
        )
        for case in wanted
    ]
    print(table([("CASE", "SECONDS", "GAP", "ERRORS", "VERDICT"), *shown]))
    wrong = [
        case.name
        for case in wanted
        if not case.refused and not case.excused and is_bad(found[case.name])
    ]
    if wrong:
        raise UserError(f"accepted, and yet they stop trades or break callers: {', '.join(wrong)}")


def is_bad(measured: Measured) -> bool:
    stops = measured.gap_seconds > LONGEST_GAP_SECONDS
    return bool(stops or measured.errors or measured.failure)


if __name__ == "__main__":
    sys.exit(exit_code(main))
