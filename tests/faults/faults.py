"""The faults: what each kind does, and how soon the service must be back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from pymysql.constants import ER
from pymysql.err import OperationalError

from tests.faults.cluster import Cluster
from tests.faults.function import Doom, Function
from tests.faults.secrets_manager import SecretsManager
from tests.support.endpoint import Cut
from trading.secret import PENDING

_PATIENCE_SECONDS = 30
_POLL_SECONDS = 0.02
# Longer than a request takes: an environment can die before, within and after its statement.
_REQUEST_SECONDS = 0.008


@dataclass(frozen=True)
class Platform:
    """What faults are injected into."""

    cluster: Cluster
    function: Function
    secrets: SecretsManager


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    `strike` injects it and takes it away again. `limit_seconds` is the longest time without any
    acknowledged trade that it may cause, on a busy machine.
    """

    name: str
    limit_seconds: float
    strike: Callable[[Platform, random.Random], None]


def _writer_restarts(platform: Platform, chance: random.Random) -> None:
    cluster = platform.cluster
    cluster.kill(cluster.writer)
    time.sleep(chance.uniform(0, 1))
    cluster.restart_writer()


def _fail_over(platform: Platform, chance: random.Random) -> None:
    cluster = platform.cluster
    cluster.kill(cluster.writer)
    # Until the clients notice.
    time.sleep(chance.uniform(0, 2))
    cluster.fail_over()


def _lose_machine(platform: Platform, chance: random.Random) -> None:
    """The writer is gone, and nothing closes its connections."""
    platform.cluster.writer_endpoint.swallow()
    _fail_over(platform, chance)
    platform.cluster.writer_endpoint.deliver(late=False)


def _switch_over(platform: Platform, chance: random.Random) -> None:
    platform.cluster.switch_over(endpoint_lag_seconds=chance.uniform(0, 2))
    if chance.random() < 0.5:
        platform.cluster.writer_endpoint.cut()


def _reader_restarts(platform: Platform, chance: random.Random) -> None:
    cluster = platform.cluster
    reader = chance.choice(cluster.readers)
    cluster.kill(reader)
    time.sleep(chance.uniform(0, 1))
    cluster.restart_reader(reader)


def _cut(where: Cut) -> Callable[[Platform, random.Random], None]:
    def strike(platform: Platform, chance: random.Random) -> None:
        endpoint = platform.cluster.writer_endpoint
        endpoint.cut_next(*[where] * chance.randint(1, 12))
        _wait(lambda: not endpoint.has_cuts_left)

    return strike


def _latency(platform: Platform, chance: random.Random) -> None:
    endpoints = (platform.cluster.writer_endpoint, platform.cluster.reader_endpoint)
    seconds = chance.uniform(0.02, 0.4)
    for endpoint in endpoints:
        endpoint.delay(seconds)
    time.sleep(chance.uniform(1, 3))
    for endpoint in endpoints:
        endpoint.delay(0)


def _black_hole(platform: Platform, chance: random.Random) -> None:
    endpoints = (platform.cluster.writer_endpoint, platform.cluster.reader_endpoint)
    for endpoint in endpoints:
        endpoint.swallow()
    time.sleep(chance.uniform(0.5, 7))
    late = chance.random() < 0.5
    for endpoint in endpoints:
        endpoint.deliver(late=late)


def _disk_full(platform: Platform, chance: random.Random) -> None:
    with platform.cluster.full_disk():
        time.sleep(chance.uniform(0.5, 2))


def _lock_held(platform: Platform, chance: random.Random) -> None:
    table = "LOCK TABLES trades WRITE"
    rows = "SELECT * FROM trades ORDER BY trade_id DESC LIMIT 10 FOR UPDATE"
    cluster = platform.cluster
    statement = chance.choice((table, rows))
    with cluster.connect(cluster.writer) as connection, connection.cursor() as cursor:
        is_held = False
        while not is_held:
            cursor.execute("BEGIN")
            try:
                cursor.execute(statement)
                is_held = True
            except OperationalError as error:
                # A booking may hold one of the rows and wait for another.
                if error.args[0] != ER.LOCK_DEADLOCK:
                    raise
        time.sleep(chance.uniform(0.5, 7))


def _secret_rotated(platform: Platform, chance: random.Random) -> None:
    cluster, secrets = platform.cluster, platform.secrets
    value = {**secrets.value(), "password": f"{chance.getrandbits(128):032x}"}

    def set_password() -> None:
        cluster.writer.execute(
            f"ALTER USER {value['username']}@'%' IDENTIFIED BY '{value['password']}' REQUIRE SSL"
        )

    # Secrets Manager's own order is the first one; the other is an operator's by hand.
    secrets.put(value, PENDING)
    steps = [set_password, secrets.finish_rotation]
    if chance.random() < 0.3:
        steps.reverse()
    for step in steps:
        step()
        # Connections outlive their password. Without a connection, the password is needed.
        cluster.writer_endpoint.cut()
        cluster.reader_endpoint.cut()
        time.sleep(chance.uniform(0.2, 1))


def _secrets_throttled(platform: Platform, chance: random.Random) -> None:
    platform.secrets.is_throttling = True
    platform.function.renew()
    time.sleep(chance.uniform(1, 4))
    platform.secrets.is_throttling = False


def _function_times_out(platform: Platform, chance: random.Random) -> None:
    _doom(
        platform,
        [
            Doom(chance.uniform(0, _REQUEST_SECONDS), chance.uniform(0.5, 2))
            for _ in range(chance.randint(1, 6))
        ],
    )


def _environment_killed(platform: Platform, chance: random.Random) -> None:
    _doom(
        platform,
        [Doom(chance.uniform(0, _REQUEST_SECONDS)) for _ in range(chance.randint(1, 12))],
    )


def _doom(platform: Platform, dooms: list[Doom]) -> None:
    platform.function.doom(dooms)
    _wait(lambda: not platform.function.is_doomed)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the fault did not happen")
        time.sleep(_POLL_SECONDS)


FAULTS = (
    Fault("writer killed (-9), restarted", 20, _writer_restarts),
    Fault("writer killed (-9), failover", 20, _fail_over),
    Fault("writer's machine lost, failover", 25, _lose_machine),
    Fault("planned failover", 15, _switch_over),
    Fault("reader killed (-9), restarted", 10, _reader_restarts),
    Fault("connection cut before a statement", 10, _cut(Cut.BEFORE)),
    Fault("connection cut within a statement", 10, _cut(Cut.WITHIN)),
    Fault("connection cut before the answer", 10, _cut(Cut.BEFORE_ANSWER)),
    Fault("connection cut within the answer", 10, _cut(Cut.WITHIN_ANSWER)),
    Fault("latency", 10, _latency),
    Fault("packet black hole", 25, _black_hole),
    Fault("disk full", 20, _disk_full),
    Fault("lock held", 20, _lock_held),
    Fault("secret rotated", 15, _secret_rotated),
    Fault("Secrets Manager throttled", 20, _secrets_throttled),
    Fault("Lambda timeout within a request", 10, _function_times_out),
    Fault("execution environment killed", 10, _environment_killed),
)
