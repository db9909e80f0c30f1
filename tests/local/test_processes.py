"""What runs here is found by /proc, and by ps where there is none."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import command_line, command_lines

ARGUMENT = "--datadir=/a folder/with space"


@pytest.fixture(params=["/proc", "/no-proc"])
def proc(request: pytest.FixtureRequest) -> Path:
    """Where processes are looked up: `/no-proc` stands for a system such as macOS."""
    return Path(request.param)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    long = "x" * 200  # longer than a line of a terminal
    command = (sys.executable, "-c", "print(flush=True); input()", ARGUMENT, long)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # It runs, so the system has its arguments.
        yield process
        process.kill()


def test_a_process_is_known_by_its_arguments(proc: Path, process: subprocess.Popen[bytes]) -> None:
    line = command_line(process.pid, proc) or ""
    assert f" {ARGUMENT} " in line
    assert line.endswith(f" {'x' * 200} ")
    assert " --datadir=/a " not in line.replace(ARGUMENT, "")
    assert line in command_lines(proc)


def test_a_process_that_has_ended_is_not_found(proc: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert command_line(process.pid, proc) is None
    assert f" {ARGUMENT} " not in "".join(command_lines(proc))
    assert command_line(os.getpid(), proc)
