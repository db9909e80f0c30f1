"""Migrations are tried on a small table while the released and the new code book trades."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from local.migration_trial.rig import SCRATCH, Rig
from local.migration_trial.trial import (
    Version,
    apply_all,
    check_killed_runners,
    pending,
    structural_verdicts,
    try_migrations,
)
from migration import runner
from migration.runner import Migration
from service.tools.migration_verdicts import Verdict, refusal
from shared.cli.errors import UserError

SERVICE = Path(__file__).resolve().parents[2] / "service"
RELEASED = Version(SERVICE)
ADD = "ALTER TABLE trades ADD COLUMN venue VARCHAR(8) NULL"
FILL_IN = (
    "-- repeat until no row changes\n"
    "-- safe because no release reads the column\n"
    "UPDATE trades SET venue = 'XNAS' WHERE venue IS NULL LIMIT 200"
)
REFUSE = (
    "CREATE TRIGGER trades_none BEFORE INSERT ON trades FOR EACH ROW "
    "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no trades today'"
)


def with_migrations(folder: Path, *statements: str) -> Version:
    """The service with more migrations."""
    for name in ("src", "events", "migrations"):
        shutil.copytree(SERVICE / name, folder / "service" / name)
    new = Version(folder / "service")
    first = len(new.migrations) + 1
    for number, statement in enumerate(statements, start=first):
        (new.folder / "migrations" / f"{number:04}_change.sql").write_text(statement)
    return new


def tried(folder: Path, new: Version) -> tuple[Mapping[str, Verdict], list[str]]:
    told: list[str] = []
    verdicts = try_migrations(folder, RELEASED, new, rows=500, seconds=1, progress=told.append)
    return verdicts, told


@pytest.mark.usefixtures("trial_rig")
def test_a_harmless_migration_is_measured_under_load_and_breaks_neither_version(
    tmp_path: Path,
) -> None:
    new = with_migrations(tmp_path, ADD)
    verdicts, told = tried(tmp_path, new)
    ((name, verdict),) = verdicts.items()
    assert (verdict.algorithm, verdict.lock, verdict.rebuilds) == ("INSTANT", "NONE", False)
    assert verdict.measured is not None
    assert (verdict.measured.rows, verdict.measured.errors, verdict.measured.failure) == (
        500,
        0,
        "",
    )
    assert verdict.measured.gap_seconds > 0
    assert any("killed the runner" in line for line in told)
    assert any("side by side" in line for line in told)
    assert any("rollback" in line for line in told)
    assert name == new.migrations[-1].name


@pytest.mark.usefixtures("trial_rig")
def test_a_migration_that_breaks_the_released_code_is_refused(
    tmp_path: Path,
) -> None:
    new = with_migrations(tmp_path, REFUSE)
    verdicts, told = tried(tmp_path, new)
    ((name, verdict),) = verdicts.items()
    assert verdict.measured is not None
    assert verdict.measured.errors > 0
    assert "requests fail" in refusal(name, verdict, new.migrations[-1].statement)
    assert "book 500" in told[-1]


def test_a_run_that_does_not_finish_what_a_killed_one_began_is_found(
    trial_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = Migration("0099_add", ADD)
    assert check_killed_runners(trial_rig, RELEASED.migrations, (change,)) > 10
    monkeypatch.setattr(runner, "_DONE_BEFORE", set())
    with pytest.raises(UserError, match="the next run says: 0099_add failed"):
        check_killed_runners(trial_rig, RELEASED.migrations, (change,))


def test_rows_that_take_several_deploys_are_changed_to_the_last(
    trial_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_BATCHES_SECONDS", -1)
    trial_rig.migrate(SCRATCH, RELEASED.migrations)
    trial_rig.fill(SCRATCH, 500)
    added = (Migration("0098_add", ADD), Migration("0099_fill_in", FILL_IN))
    with trial_rig.connect(SCRATCH) as connection, connection.cursor() as cursor:
        apply_all(connection, (*RELEASED.migrations, *added))
        cursor.execute("SELECT COUNT(*) FROM trades WHERE venue = 'XNAS'")
        assert cursor.fetchone() == (500,)


def test_a_statement_that_the_server_refuses_is_one_clear_error(trial_rig: Rig) -> None:
    wrong = Migration("0099_wrong", "ALTER TABLE trades DROP COLUMN nothing")
    with pytest.raises(UserError, match=r"0099_wrong: the server says .*nothing"):
        structural_verdicts(trial_rig, RELEASED.migrations, (wrong,))


def test_a_released_migration_must_not_change(tmp_path: Path) -> None:
    new = with_migrations(tmp_path)
    assert pending(RELEASED, new) == ()
    first = sorted((new.folder / "migrations").glob("*.sql"))[0]
    first.write_text("CREATE TABLE other (id INT)")
    with pytest.raises(UserError, match="was released and must not change"):
        pending(RELEASED, new)
