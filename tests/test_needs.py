"""A pure test starts nothing that needs installing: the guard, attacked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.needs import NEEDS, ROOT, need_of

COMMANDS = {
    "terraform": ["terraform", "plan"],
    "emulator": [ROOT / ".venv-emulator" / "bin" / "python", "-m", "local.emulator"],
    "database": [ROOT / ".cache" / "mysql" / "bin" / "mysqld", "--datadir=/x"],
    "browser": ["chromium", "--headless"],
    "platform": ["make", "up"],
    "checks": [".venv-checks/bin/aws", "rds"],
}


@pytest.mark.parametrize("need", COMMANDS)
def test_a_command_shows_what_it_needs(need: str) -> None:
    assert need_of(COMMANDS[need]) == need


@pytest.mark.parametrize(
    "command",
    [["git", "status"], [sys.executable, "-m", "infra.main"], ["make", "--silent", "help"]],
)
def test_python_and_git_need_nothing(command: list[str]) -> None:
    assert need_of(command) is None


def test_a_program_that_a_test_has_written_is_not_the_real_one(tmp_path: Path) -> None:
    assert need_of([tmp_path / "terraform", "plan"]) is None


def test_every_need_has_a_target_that_installs_it() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert [name for name in NEEDS if f"need-{name}" not in makefile] == []


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a file of tests with the project's hooks, and tell how that ended."""
    (folder / "test_attack.py").write_text(text)
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-c", "/dev/null", f"--rootdir={folder}"),
            *("-p", "tests.conftest", "-p", "no:cacheprovider", *options, str(folder)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


SHELL = {
    "AWS_PROFILE": "corp",
    "AWS_ENDPOINT_URL_SSM": "https://ssm.example.com",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "example.com",
    "STATE": "local",
    "SERVICE_PARAMETERS": "ApiAuthorization=NONE",
}
LOOK = """
import os
def test_it():
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "example.com,127.0.0.1,localhost"
    assert os.environ["HTTP_PROXY"]
    left = {"AWS_PROFILE", "AWS_ENDPOINT_URL_SSM", "STATE", "SERVICE_PARAMETERS"} & set(os.environ)
    assert not left
"""


def test_tests_do_not_see_what_the_users_shell_has_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    for name, value in SHELL.items():
        monkeypatch.setenv(name, value)
    finished = run(tmp_path, LOOK)
    assert finished.returncode == 0, finished.stdout


# A fixture starts Terraform, and its test does not say so.
ATTACK = """
import subprocess, pytest
@pytest.fixture
def {fixture}():
    subprocess.run(["terraform", "version"])
def test_it({fixture}):
    pass
"""


def test_a_pure_test_whose_fixture_starts_terraform_fails(tmp_path: Path) -> None:
    finished = run(tmp_path, ATTACK.format(fixture="hidden"), "-m", "pure")
    assert finished.returncode == 1, finished.stdout
    assert "is not marked `terraform`: add its file or fixture" in finished.stdout


def test_what_a_fixture_of_the_table_starts_is_not_pure(tmp_path: Path) -> None:
    finished = run(tmp_path, ATTACK.format(fixture="lives"), "-m", "pure")
    assert "1 deselected" in finished.stdout
