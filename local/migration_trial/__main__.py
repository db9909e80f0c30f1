"""Judges the service's new migrations: `make check-migration`, or `--small` in `make lint`."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local.migration_trial.rig import rig
from local.migration_trial.trial import (
    Version,
    pending,
    structural_verdicts,
    try_migrations,
)
from service.tools.migration_verdicts import (
    load_verdicts,
    refusal,
    save_verdicts,
    verdict_table,
)
from shared.cli.errors import UserError, exit_code
from shared.cli.git import base_commit

_ROOT = Path(__file__).resolve().parents[2]
_NEW = Version(_ROOT / "service")
_ROWS = 1_000_000
_SECONDS = 5.0


def check(base: str, rows: int) -> None:
    """Judge what is added to the released git ref `base`, and record the verdicts.

    Without `base`, it is `origin/main`, or `HEAD` where there is no such branch.

    Raises:
        UserError: a migration is refused, or there is no such commit.
    """
    with tempfile.TemporaryDirectory(prefix="migrations-") as made:
        folder = Path(made)
        released, name = _released(base, folder)
        added = pending(released, _NEW)
        if not added:
            print(f"no migration was added since {name}; BASE names the released commit")
            return
        found = try_migrations(
            folder, released, _NEW, rows=rows, seconds=_SECONDS, progress=_progress
        )
    texts = {each.name: each.statement for each in added}
    save_verdicts({**load_verdicts(), **found})
    print(verdict_table(texts, found))
    _refuse([refusal(name, found.get(name), text) for name, text in texts.items()])


def check_record() -> None:
    """Ask a server about all migrations, and refuse what it or the record says is bad.

    Raises:
        UserError: a migration is not recorded, or is refused.
    """
    migrations = _NEW.migrations
    with tempfile.TemporaryDirectory(prefix="migrations-") as name, rig(Path(name)) as made:
        found = structural_verdicts(made, (), migrations)
    recorded = load_verdicts()
    problems = []
    for each in migrations:
        verdict = recorded.get(each.name)
        record = refusal(each.name, verdict, each.statement)
        problems.append(record or refusal(each.name, found[each.name], each.statement))
    _refuse(problems)


def main() -> None:
    """Judge the migrations.

    Raises:
        UserError: one of them is refused.
    """
    parser = argparse.ArgumentParser(prog="python -m local.migration_trial", description=__doc__)
    parser.add_argument("--small", action="store_true", help="ask the server, without load")
    if parser.parse_args().small:
        check_record()
        return
    rows = os.environ.get("ROWS") or str(_ROWS)
    if not rows.isdecimal():
        raise UserError(f"ROWS {rows!r}: must be a number of rows, such as 1000000")
    check(os.environ.get("BASE", ""), int(rows))


def _released(base: str, folder: Path) -> tuple[Version, str]:
    """The service of a commit, unpacked into a folder, and the name of the commit."""
    commit, name = base_commit(_ROOT, base)
    target = folder / "released"
    target.mkdir()
    archive = ["git", "-C", str(_ROOT), "archive", commit, "service"]
    with subprocess.Popen(archive, stdout=subprocess.PIPE) as packing:
        subprocess.run(["tar", "-x", "-C", str(target)], stdin=packing.stdout, check=True)
    return Version(target / "service"), name


def _refuse(problems: list[str]) -> None:
    found = [problem for problem in problems if problem]
    if found:
        raise UserError("; ".join(found) if len(found) == 1 else "\n  ".join(["", *found]))


def _progress(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(exit_code(main))
