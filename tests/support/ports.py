"""Free ports, even when several test runs look for some at the same time."""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# The emulator uses this many ports from its base on.
_RANGE = 40
# A lock file for each base, whose process may use the range. The locks end with the process.
_TAKEN = Path(tempfile.gettempdir()) / f"trading-platform-test-ports-{os.getuid()}"


def free_port() -> int:
    """One free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def free_port_base() -> int:
    """A base port for an emulator: it and the following ports are free.

    No other test process gets the same one. An emulator takes seconds to start, and the tests
    would talk to one that has started on its port in between. It is random, even if a library has
    seeded `random`, and below the ports that the system gives to clients.
    """
    for base in random.SystemRandom().sample(range(10_000, 32_000, _RANGE), k=200):
        if all(_is_free(base + offset) for offset in range(_RANGE)) and _take(base):
            return base
    raise OSError("found no range of free ports")


def _take(base: int) -> bool:
    """Keep a range for this process, unless another one, or this one, has it."""
    _TAKEN.mkdir(mode=0o700, exist_ok=True)
    if _TAKEN.lstat().st_uid != os.getuid():
        raise OSError(f"{_TAKEN} belongs to another user: set TMPDIR to a folder of your own")
    lock = os.open(_TAKEN / str(base), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
