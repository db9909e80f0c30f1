"""Free ports, even when several test runs look for some at the same time."""

import random
import socket

# The emulator uses this many ports from its base on.
_RANGE = 40


def free_port() -> int:
    """One free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def free_port_base() -> int:
    """A base port for an emulator: it and the following ports are free.

    It is random, so that two runs do not pick the same one at the same moment, even if a library
    has seeded `random`. It is below the ports that the system gives to clients.
    """
    for base in random.SystemRandom().sample(range(10_000, 32_000, _RANGE), k=200):
        if all(_is_free(base + offset) for offset in range(_RANGE)):
            return base
    raise OSError("found no range of free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
