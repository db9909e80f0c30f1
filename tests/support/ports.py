"""Ports that nobody else uses, also when several test runs look for some at the same time."""

import random
import socket

# The emulator takes this many from its base on.
_RANGE = 40


def free_port() -> int:
    """One free port of the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def free_port_base() -> int:
    """A port that is free together with those that follow it, for an emulator.

    It is taken at random, below the ports that the system gives to clients: two runs that look at
    the same moment do not come to the same answer, not even where a library has seeded `random`.
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
