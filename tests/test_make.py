"""What the Makefile says when a check fails."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.needs import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder whose `.venv` is installed, and has a ruff that finds fault with `FAILS`."""
    tmp_path /= "with a space"
    (tmp_path / "requirements").mkdir(parents=True)
    for name in ("bootstrap", "dev"):
        (tmp_path / "requirements" / f"{name}.txt").touch()
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in {
        "ruff": '[ "$1" != "$FAILS" ] || { echo "Would reformat: a.py"; false; }',
        "mypy": "",
        "python": "env",
    }.items():
        program = programs / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    return tmp_path


def make(
    project: Path, *arguments: str, fails: str = "", **variables: str | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", "-C", project, "-f", ROOT / "Makefile", *arguments],
        env={
            name: value
            for name, value in {**os.environ, "FAILS": fails, **variables}.items()
            if value is not None
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_lint_names_the_files_that_are_not_formatted_and_says_what_to_do(project: Path) -> None:
    finished = make(project, "lint-python", fails="format")
    assert finished.returncode != 0
    assert "these files are not formatted: run `make format`" in finished.stderr
    assert "Would reformat: a.py" in finished.stderr


def test_lint_says_how_to_fix_what_ruff_finds(project: Path) -> None:
    finished = make(project, "lint-python", fails="check")
    assert finished.returncode != 0
    assert "`make format` mends those marked [*]" in finished.stderr


def test_lint_passes_what_is_clean(project: Path) -> None:
    assert make(project, "lint-python").returncode == 0


def test_settings_of_other_projects_do_not_reach_the_commands(project: Path) -> None:
    foreign = {
        "TF_WORKSPACE": "blue",
        "TF_DATA_DIR": "/elsewhere",
        "TF_CLI_ARGS": "-lock=false",
        "TF_CLI_ARGS_apply": "-destroy",
        "TF_VAR_region": "eu-west-1",
        "CDKTF_CONTEXT_JSON": "{}",
    }
    finished = make(project, "releases", **foreign)
    assert finished.returncode == 0, finished.stderr
    seen = {line.partition("=")[0] for line in finished.stdout.splitlines()}
    assert not foreign.keys() & seen
    (warning,) = [line for line in finished.stderr.splitlines() if "ignored" in line]
    assert all(name in warning for name in foreign)


def test_settings_of_the_shell_do_not_reach_the_commands(project: Path) -> None:
    shell = dict.fromkeys(("CDPATH", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH"), "1")
    kept = {"PIP_INDEX_URL": "https://example.org", "TF_LOG": "error", "LC_ALL": "C"}
    finished = make(project, "releases", **shell, **kept)
    lines = set(finished.stdout.splitlines())
    assert not shell.keys() & {line.partition("=")[0] for line in lines}
    assert {f"{name}={value}" for name, value in kept.items()} <= lines
    assert "ignored" not in finished.stderr


def test_the_arguments_of_make_do_not_reach_the_makes_that_its_commands_start(
    project: Path,
) -> None:
    """A campaign starts `make plan`, and its own `ARGS` would go to Terraform."""
    finished = make(project, "releases", "ARGS=--quiet", "REGIONS=us-west-2")
    lines = finished.stdout.splitlines()
    assert not {"ARGS", "MAKEFLAGS"} & {line.partition("=")[0] for line in lines}
    assert "REGIONS=us-west-2" in lines


@pytest.mark.parametrize("name", ["GH_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
def test_a_secret_among_the_arguments_is_refused(project: Path, name: str) -> None:
    """Every user of the machine can read them."""
    finished = make(project, "releases", f"{name}=secret")
    assert finished.returncode != 0
    assert f"`{name}=… make`" in finished.stderr
    assert finished.stdout == ""
    assert make(project, "releases", **{name: "secret"}).returncode == 0


def test_no_command_uses_the_temporary_folder_that_all_users_share(
    project: Path, tmp_path: Path
) -> None:
    """Programs start what a file in a folder above names, or load a known name."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    (shared / "known").write_text(f"touch '{tmp_path}/started'\n")
    home = tmp_path / "home"
    home.mkdir()
    python = project / ".venv" / "bin" / "python"
    python.write_text(
        '#!/bin/sh\n[ ! -e "$TMPDIR/known" ] || . "$TMPDIR/known"\ncd "$(mktemp -d)"\npwd\n'
        'while [ "$PWD" != / ]; do\n    [ ! -e known ] || . ./known\n    cd ..\ndone\n'
    )
    finished = make(project, "releases", HOME=str(home), TMPDIR=str(shared))
    assert finished.returncode == 0, finished.stderr
    assert not (tmp_path / "started").exists()
    used = Path(finished.stdout.strip()).parent
    assert used.is_relative_to(home)
    assert stat.S_IMODE(used.stat().st_mode) == 0o700


def test_clean_deletes_what_killed_commands_have_left_and_nothing_that_is_in_use(
    project: Path,
) -> None:
    temporary = project / ".cache" / "trading-platform" / "tmp"
    for name in ("left", "in use"):
        (temporary / name / "file").mkdir(parents=True)
    three_days_ago = time.time() - 3 * 24 * 60 * 60
    os.utime(temporary / "left", (three_days_ago, three_days_ago))
    finished = make(project, "clean", HOME=str(project))
    assert finished.returncode == 0, finished.stderr
    assert [entry.name for entry in temporary.iterdir()] == ["in use"]


def test_a_temporary_folder_that_cannot_be_made_is_one_clear_line(project: Path) -> None:
    """Python would take /tmp instead."""
    (project / ".cache").write_text("a file")
    finished = make(project, "releases", HOME=str(project))
    assert finished.returncode != 0
    assert "cannot be used for temporary files" in finished.stderr
    assert finished.stdout == ""


@pytest.mark.parametrize("home", [None, "", "/dev/null", "/nowhere"])
def test_a_home_folder_that_cannot_be_used_is_replaced(project: Path, home: str | None) -> None:
    finished = make(project, "releases", HOME=home)
    instead = project / ".cache" / "home"
    assert f"HOME={instead}" in finished.stdout.splitlines()
    assert instead.is_dir()
    assert "HOME cannot be written to" in finished.stderr


def test_a_home_folder_with_a_space_is_used(project: Path) -> None:
    finished = make(project, "releases", HOME=str(project))
    assert f"HOME={project}" in finished.stdout.splitlines()
    assert finished.stderr == ""
