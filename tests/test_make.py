"""What the Makefile says when a check fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.needs import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder whose `.venv` is installed, and has a ruff that finds fault with `FAILS`."""
    (tmp_path / "requirements").mkdir()
    for name in ("bootstrap", "dev"):
        (tmp_path / "requirements" / f"{name}.txt").touch()
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in {
        "ruff": '[ "$1" != "$FAILS" ] || { echo "Would reformat: a.py"; false; }',
        "mypy": "",
    }.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def make(project: Path, target: str, fails: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", "-C", project, "-f", ROOT / "Makefile", target],
        env={**os.environ, "FAILS": fails},
        capture_output=True,
        text=True,
        check=False,
    )


def test_lint_names_the_files_that_are_not_formatted_and_says_what_to_do(project: Path) -> None:
    finished = make(project, "lint-python", "format")
    assert finished.returncode != 0
    assert "these files are not formatted: run `make format`" in finished.stderr
    assert "Would reformat: a.py" in finished.stderr


def test_lint_says_how_to_mend_what_ruff_finds(project: Path) -> None:
    finished = make(project, "lint-python", "check")
    assert finished.returncode != 0
    assert "`make format` mends those marked [*]" in finished.stderr


def test_lint_passes_what_is_clean(project: Path) -> None:
    assert make(project, "lint-python", "").returncode == 0
