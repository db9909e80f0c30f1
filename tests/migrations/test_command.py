"""`make check-migration`, and its small form in `make lint`."""

from __future__ import annotations

import dataclasses

import pytest

from local.migration_trial import __main__ as command
from service.tools.migration_verdicts import COPY, load_verdicts
from shared.cli.errors import UserError


def test_rows_that_are_no_number_are_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["migration_trial"])
    monkeypatch.setenv("ROWS", "many")
    with pytest.raises(UserError, match="ROWS 'many': must be a number of rows"):
        command.main()


def test_a_commit_that_git_does_not_know_is_one_clear_error() -> None:
    with pytest.raises(UserError, match="git knows no such commit"):
        command.check("no-such-commit", 10)


@pytest.mark.usefixtures("trial_rig")
def test_the_record_is_held_against_what_a_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    command.check_record()
    recorded = load_verdicts()
    first, second, *_ = sorted(recorded)
    wrong = {
        **recorded,
        second: dataclasses.replace(recorded[second], algorithm=COPY, lock="SHARED"),
    }
    del wrong[first]
    monkeypatch.setattr(command, "load_verdicts", lambda: wrong)
    with pytest.raises(UserError) as error:
        command.check_record()
    told = str(error.value)
    assert f"{first}: no server has judged this file" in told
    assert f"{second}: the server says METADATA with lock NONE, and the record COPY" in told
