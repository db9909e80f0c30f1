"""What runs on this machine: by /proc as on Linux, or by ps where there is none, as on macOS."""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")

# https://man7.org/linux/man-pages/man7/sock_diag.7.html
_SOCK_DIAG, _BY_FAMILY, _REQUEST = 4, 20, 1
_HEADER, _ASKED = struct.Struct("=IHHII"), struct.Struct("=BBxxI")
_ENDS, _FOUND = struct.Struct(">HH4s12x4s12x"), struct.Struct("=xB62xII")
# https://github.com/torvalds/linux/blob/master/include/net/tcp_states.h
_ESTABLISHED, _LISTENS = 1, 10


def command_line(pid: int, proc: Path = _PROC) -> str | None:
    """The command and arguments of a process, separated by spaces; None if it does not run.

    There is a space before and after each argument, so that `" --a=1 "` finds exactly that one.
    """
    if not proc.is_dir():
        return next(_by_ps("-p", str(pid)), None)
    try:
        return _spaced((proc / str(pid) / "cmdline").read_bytes())
    except OSError:
        return None


def command_lines(proc: Path = _PROC) -> Iterator[str]:
    """The command lines of all processes that can be seen, each as `command_line` gives it."""
    if not proc.is_dir():
        yield from _by_ps("-A")
        return
    for file in proc.glob("[0-9]*/cmdline"):
        try:
            yield _spaced(file.read_bytes())
        except OSError:
            continue  # it has just ended


def kernel_knows_users() -> bool:
    """Whether the kernel says whose an end is: on Linux, but for containers that may not ask.

    Find out before anybody can connect: later, an answer may fail because another user has taken
    all descriptors of this process.
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        # Not what the server accepts: somebody else may have connected first.
        return _user_of(client.getsockname(), server.getsockname()) == os.getuid()


def is_own_connection(accepted: socket.socket) -> bool:
    """Whether this user has the client's end of an accepted TCP connection of IPv4.

    Nobody has an end that its client has closed. Root is no exception: a container's root has the
    same number.
    """
    try:
        user = _user_of(accepted.getpeername(), accepted.getsockname())
        # As soon as a client resets its connection, another one can have its port. So the answer
        # counts only if this connection is still there after it.
        accepted.getpeername()
    except OSError:
        return False
    return user == os.getuid()


def is_own_server(address: tuple[str, int]) -> bool:
    """Whether this user listens at an IPv4 address with its port."""
    return _user_of(address, (address[0], 0), listens=True) == os.getuid()


def _user_of(own: tuple[str, int], other: tuple[str, int], *, listens: bool = False) -> int | None:
    """The user of an open end of a connection, or of a server; None if the kernel knows neither."""
    if sys.platform != "linux":
        return None
    addresses = (socket.inet_aton(host) for host, _ in (own, other))
    asked = _ASKED.pack(socket.AF_INET, socket.IPPROTO_TCP, 0xFFFFFFFF)
    asked += _ENDS.pack(own[1], other[1], *addresses) + struct.pack("=iq", 0, -1)
    header = _HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, _REQUEST, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
            kernel.send(header + asked)
            answer = kernel.recv(4096)
    except OSError:
        return None
    if _HEADER.unpack_from(answer)[1] != _BY_FAMILY:
        return None
    state, user, inode = _FOUND.unpack_from(answer, _HEADER.size)
    # Where an end is gone, the kernel finds what else listens on its port, or connects from there.
    return int(user) if inode and state == (_LISTENS if listens else _ESTABLISHED) else None


def _spaced(arguments: bytes) -> str:
    return f" {arguments.decode(errors='replace').replace(chr(0), ' ').strip()} "


def _by_ps(*which: str) -> Iterator[str]:
    # https://pubs.opengroup.org/onlinepubs/9699919799/utilities/ps.html; -ww: not cut to 80 columns
    command = ("ps", "-ww", *which, "-o", "args=")
    listed = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    for line in listed.stdout.splitlines():
        yield f" {line.strip()} "
