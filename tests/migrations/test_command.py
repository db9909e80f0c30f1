"""`make check-migration`, and its small form in `make lint`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local.migration_trial import __main__ as command
from local.migration_trial.trial import Version
from service.tools.migration_verdicts import INSTANT, Verdict, checksum, load_verdicts
from shared.cli.errors import UserError

SERVICE = Path(__file__).resolve().parents[2] / "service"


def test_rows_that_are_no_number_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["migration_trial"])
    monkeypatch.setenv("ROWS", "many")
    with pytest.raises(UserError, match="ROWS 'many': must be a number of rows"):
        command.main()


def test_a_commit_that_git_does_not_know_is_one_clear_error() -> None:
    with pytest.raises(UserError, match="git knows no such commit"):
        command.check("no-such-commit", 10)


@pytest.mark.usefixtures("trial_rig")
def test_a_record_alone_does_not_accept_a_migration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command.check_record()
    shutil.copytree(SERVICE / "migrations", tmp_path / "migrations")
    texts = {
        "9997_copy": "ALTER TABLE trades ADD COLUMN loud CHAR(32) AS (UPPER(symbol)) STORED",
        "9998_add": "ALTER TABLE trades ADD COLUMN venue VARCHAR(8) NULL",
        "9999_unknown": "ALTER TABLE trades ADD COLUMN desk VARCHAR(8) NULL",
    }
    for name, text in texts.items():
        (tmp_path / "migrations" / f"{name}.sql").write_text(text)
    lies = {
        name: Verdict(checksum(texts[name]), INSTANT, "NONE", rebuilds=False)
        for name in ("9997_copy", "9998_add")
    }
    recorded = {**load_verdicts(), **lies}
    monkeypatch.setattr(command, "_NEW", Version(tmp_path))
    monkeypatch.setattr(command, "load_verdicts", lambda: recorded)
    with pytest.raises(UserError) as error:
        command.check_record()
    told = str(error.value)
    assert "9997_copy: copies the table" in told
    assert "9998_add" not in told
    assert "9999_unknown: no server has judged this file" in told
