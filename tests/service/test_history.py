"""The list of releases, and the one that a rollback restores. tests/platform makes real ones."""

import subprocess
from pathlib import Path

import pytest

from service.deploy.deployed import DeployedStack
from service.deploy.history import (
    Origin,
    Release,
    list_releases,
    release_table,
    release_to_restore,
    source_commit,
)
from shared.cli.errors import UserError


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Trader", "-c", "user.email=trader@example.com")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder of a repository, fully committed."""
    folder = tmp_path / "service"
    folder.mkdir()
    git(tmp_path, "init", "--quiet")
    (folder / "api.py").write_text("code")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    return folder


def test_a_release_has_the_commit_of_its_source(repository: Path) -> None:
    (repository.parent / "notes.txt").write_text("not of the service")
    assert source_commit(repository) == git(repository, "rev-parse", "--short=12", "HEAD")


@pytest.mark.parametrize("file", ["api.py", "new.py"])
def test_source_that_no_commit_has_is_dirty(repository: Path, file: str) -> None:
    (repository / file).write_text("edoc")
    assert (
        source_commit(repository) == f"{git(repository, 'rev-parse', '--short=12', 'HEAD')}-dirty"
    )


def test_without_a_repository_the_commit_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert source_commit(tmp_path) == "unknown"
    monkeypatch.setenv("PATH", "/nowhere")
    assert source_commit(tmp_path) == "unknown"


@pytest.mark.parametrize("restores", [None, 2])
def test_a_description_says_what_a_release_was_made_of(restores: int | None) -> None:
    origin = Origin.now("0a1b2c3d4e5f", "1.1.0", "f" * 64, restores)
    assert Origin.parse(str(origin)) == origin
    assert (
        len(str(origin)) <= 256
    )  # https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html
    assert "package" not in origin.summary
    assert str(origin).startswith(origin.summary.partition(" restores")[0])


@pytest.mark.parametrize("text", ["", "Books trades", "restores=soon owner=me"])
def test_a_version_that_was_published_by_hand_says_nothing(text: str) -> None:
    assert Origin.parse(text) == Origin()


def release(version: int, *, restores: int | None = None, current: bool = False) -> Release:
    origin = Origin("0a1b2c3d4e5f", "1.1.0", "2026-01-31T12:00:00Z", "", restores)
    return Release(version, origin, 100 if current else 0, current)


# Version 3 was bad, 4 restored 2, and 5 is new.
HISTORY = [release(4, restores=2), release(3), release(2), release(1)]
KEPT = {1, 2, 3, 4, 5}


def test_a_rollback_goes_to_the_release_before() -> None:
    releases = [release(5, current=True), *HISTORY]
    before = release_to_restore(releases, KEPT, "")
    assert (before.version, before.first) == (4, 2)
    assert release_to_restore(releases, KEPT - {4, 3}, "").version == 2


def test_one_rollback_after_another_goes_further_back() -> None:
    releases = [release(4, restores=2, current=True), *HISTORY[1:]]
    assert release_to_restore(releases, KEPT, "").version == 1
    first = [release(6, restores=1, current=True), *releases[1:]]
    with pytest.raises(UserError, match="no release before version 1"):
        release_to_restore(first, KEPT, "")


def test_a_rollback_goes_to_any_release_that_is_named() -> None:
    releases = [release(5, current=True), *HISTORY]
    assert release_to_restore(releases, KEPT, "1").version == 1
    # The restored release counts as version 2.
    assert release_to_restore(releases, KEPT, "4").first == 2


@pytest.mark.parametrize(
    ("to", "complaint"),
    [
        ("9", "no such version"),
        ("v1", "no such version"),
        ("1", "its package is not kept"),
        ("4", "what is released now"),
        ("2", "what is released now"),
    ],
)
def test_a_release_that_cannot_be_restored_is_refused(to: str, complaint: str) -> None:
    releases = [release(4, restores=2, current=True), *HISTORY[1:]]
    with pytest.raises(UserError, match=f"TO '{to}': .*{complaint}"):
        release_to_restore(releases, KEPT - {1}, to)


def test_the_list_shows_where_callers_are_and_what_was_refused_or_cannot_come_back() -> None:
    lines = release_table([release(4, restores=2, current=True), *HISTORY[1:]], {2, 4}).splitlines()
    assert lines == [
        "VERSION  CALLS  RELEASED              COMMIT        CONTRACT",
        "4        100 %  2026-01-31T12:00:00Z  0a1b2c3d4e5f  1.1.0     version 2 again",
        "3                                     0a1b2c3d4e5f  1.1.0     refused",
        "2               2026-01-31T12:00:00Z  0a1b2c3d4e5f  1.1.0",
        "1               2026-01-31T12:00:00Z  0a1b2c3d4e5f  1.1.0     no package",
    ]


def test_a_stack_whose_first_release_failed_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeployedStack, "resources", lambda *_: {"TradeFunction": "trades"})
    with pytest.raises(UserError, match="trades is ROLLBACK_FAILED and has no release"):
        list_releases(DeployedStack("trades", "ROLLBACK_FAILED", {}, {}), "us-east-1")
