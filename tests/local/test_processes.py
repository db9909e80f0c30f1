"""What runs here is found by /proc, and by ps where there is none."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.processes import command_line, command_lines, is_own_connection

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


@pytest.fixture(params=[socket.AF_INET, socket.AF_INET6])
def client(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """A client of either kind: one of IPv6 reaches IPv4 addresses as well."""
    with socket.socket(request.param) as client:
        yield client


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says whose an end is")
def test_a_connection_is_that_of_the_user_who_has_the_clients_end(client: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        mapped = "::ffff:" if client.family == socket.AF_INET6 else ""
        client.connect((f"{mapped}127.0.0.1", server.getsockname()[1]))
        with server.accept()[0] as accepted:
            ends = accepted.getpeername(), accepted.getsockname()
            assert is_own_connection(*ends)
            # Whoever sends a request and closes the socket right away has no user any more.
            client.sendall(b"request")
            client.close()
            assert not is_own_connection(*ends)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_connection_of_another_user_is_not_ones_own(client: socket.socket) -> None:
    os.seteuid(65534)
    try:
        other = socket.socket(client.family)
    finally:
        os.seteuid(0)
    with socket.create_server(("127.0.0.1", 0)) as server, other:
        mapped = "::ffff:" if client.family == socket.AF_INET6 else ""
        other.connect((f"{mapped}127.0.0.1", server.getsockname()[1]))
        with server.accept()[0] as accepted:
            assert not is_own_connection(accepted.getpeername(), accepted.getsockname())


def test_a_connection_that_nobody_knows_is_no_other_users() -> None:
    assert is_own_connection(("127.0.0.1", 1), ("127.0.0.1", 2))
