"""What runs here is found by /proc, and by ps where there is none."""

import os
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import processes
from local.processes import command_line, command_lines, is_own_connection, kernel_knows_users

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
            assert is_own_connection(accepted)
            # Whoever sends a request and closes the socket right away has no user any more.
            client.sendall(b"request")
            client.close()
            assert not is_own_connection(accepted)


@contextmanager
def connection_of_another_user(
    *, family: int = socket.AF_INET, reset: bool = False
) -> Iterator[tuple[socket.socket, socket.socket, socket.socket]]:
    """A listening server, the end of it that another user has connected to, and that user's end.

    With `reset`, that end is gone as soon as it is closed, and what it has sent can still be read.
    """
    os.seteuid(65534)
    try:
        other = socket.socket(family)
    finally:
        os.seteuid(0)
    mapped = "::ffff:" if family == socket.AF_INET6 else ""
    with socket.create_server(("127.0.0.1", 0)) as server, other:
        if reset:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            other.bind(("127.0.0.2", 0))
        other.connect((f"{mapped}127.0.0.1", server.getsockname()[1]))
        with server.accept()[0] as accepted:
            yield server, accepted, other


as_another_user = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@as_another_user
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_connection_of_another_user_is_not_ones_own(family: int) -> None:
    with connection_of_another_user(family=family) as (_, accepted, _other):
        assert not is_own_connection(accepted)


@as_another_user
def test_a_reset_connection_is_not_ones_own_whoever_listens_on_its_port() -> None:
    """Another user takes a port at an address that is free, and waits for who listens on all."""
    with connection_of_another_user(reset=True) as (server, accepted, other):
        port = accepted.getpeername()[1]
        with socket.create_server(("", port)):
            other.sendall(b"request")
            other.close()
            assert accepted.recv(16) == b"request"
            assert not is_own_connection(accepted)
        # Nor while this server stops.
        server.close()
        assert not is_own_connection(accepted)


@as_another_user
def test_a_reset_connection_is_not_ones_own_whoever_connects_from_its_port_next() -> None:
    """Another user holds all other ports of clients, so that the developer gets this one."""
    with connection_of_another_user(reset=True) as (server, accepted, other):
        ends = accepted.getpeername(), accepted.getsockname()
        other.sendall(b"request")
        other.close()
        with socket.create_connection(ends[1], source_address=ends[0]), server.accept()[0] as own:
            assert (own.getpeername(), own.getsockname()) == ends
            assert is_own_connection(own)
            assert accepted.recv(16) == b"request"
            assert not is_own_connection(accepted)


@as_another_user
def test_a_connection_is_not_ones_own_when_there_is_no_descriptor_left_to_ask_with() -> None:
    """Another user opens connections until there is none."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with connection_of_another_user() as (_, accepted, _other):
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
        try:
            is_own = is_own_connection(accepted)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert not is_own


def test_a_connection_that_nobody_knows_is_not_ones_own() -> None:
    with socket.socket() as unconnected:
        assert not is_own_connection(unconnected)


@as_another_user
def test_nobody_who_connects_first_hides_that_the_kernel_tells_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Then every connection would be accepted."""
    create_server = socket.create_server
    os.seteuid(65534)
    try:
        other = socket.socket()
    finally:
        os.seteuid(0)
    with other:

        def create_server_with_a_client(address: tuple[str, int]) -> socket.socket:
            server = create_server(address)
            other.connect(server.getsockname())
            return server

        monkeypatch.setattr(socket, "create_server", create_server_with_a_client)
        assert kernel_knows_users()


def test_it_is_known_where_the_kernel_tells_no_users(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kernel_knows_users() == (sys.platform == "linux")
    with monkeypatch.context() as container:
        container.setattr(processes, "_SOCK_DIAG", 31)  # as if the kernel did not have it
        assert not kernel_knows_users()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not kernel_knows_users()
