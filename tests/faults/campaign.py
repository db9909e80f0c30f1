"""A campaign: callers book trades, faults strike one after the other, and each one is checked."""

from __future__ import annotations

import functools
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import boto3

from archive.positions import recount
from local.database_server import ensure_tls_files
from migration.app_user import ensure_app_user
from migration.runner import apply_migrations, load_migrations
from shared.cli.table import table
from tests.faults.callers import Callers, Ledger
from tests.faults.checks import BOOK, Findings, compare, missed, positions, read_book
from tests.faults.cluster import DATABASE, Cluster
from tests.faults.faults import FAULTS, Fault, Platform
from tests.faults.follower import Follower
from tests.faults.function import Function
from tests.faults.secrets_manager import SECRET_ARN, SecretsManager
from tests.support.endpoint import Endpoint
from trading.database import connect
from trading.settings import Address
from trading_client import ApiError, Client

_APP_USER = "trade_app"
_MIGRATIONS = Path(__file__).resolve().parents[2] / "service" / "migrations"
_REGION = "us-east-1"
# A second address of this machine: both endpoints of a cluster have the same port.
_READER_HOST = "127.0.0.2"
# After this time, the service does not come back.
_PATIENCE_SECONDS = 120
# Statements that were sent earlier may still run.
_SETTLING_SECONDS = 15
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Size:
    """How much a campaign does: each fault `rounds` times, and at least `trades` trades."""

    rounds: int
    trades: int
    callers: int
    pause_seconds: float  # of each caller between two trades, on average


SIZES = {
    "small": Size(rounds=1, trades=0, callers=8, pause_seconds=0.05),
    "full": Size(rounds=12, trades=50_000, callers=24, pause_seconds=0.6),
}


class CampaignFailed(Exception):
    """Something that must be true is not. The text says after which fault."""


@dataclass(frozen=True)
class Outcome:
    """What one fault did: for how many seconds no trade was acknowledged, and the slowest trade."""

    fault: Fault
    outage: float
    slowest: float


class Campaign:
    """Runs from start to end on its own platform, on this machine."""

    def __init__(
        self, folder: Path, size: Size, seed: int, progress: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._size = size
        self._seed = seed
        self._progress = progress
        self._ledger = Ledger()
        self._outcomes: list[Outcome] = []
        self._findings = Findings()
        self._follower: Follower | None = None

    def run(self) -> None:
        """Run the campaign.

        Raises:
            CampaignFailed: a trade was lost, doubled or wrong, or the service was away too long.
        """
        faults = [
            fault
            for number in range(self._size.rounds)
            for fault in random.Random(f"{self._seed} {number}").sample(FAULTS, len(FAULTS))
        ]
        with self._platform() as platform:
            callers = Callers(
                platform.function,
                self._ledger,
                count=self._size.callers,
                pause_seconds=self._size.pause_seconds,
                seed=self._seed,
            )
            follower = Follower(platform.function, self._seed)
            self._follower = follower
            began = time.monotonic()
            callers.start()
            follower.start()
            try:
                _wait(lambda: callers.all_served_since(began), "all callers are served at first")
                for number, fault in enumerate(faults, start=1):
                    self._strike(fault, number, platform, callers)
                    self._progress(f"{number}/{len(faults)} faults, {self._trades} trades")
                _wait(
                    lambda: self._trades >= self._size.trades,
                    "enough trades are booked",
                    seconds=self._size.trades,
                )
                self._check("the end", platform, callers)
            finally:
                callers.stop()
                follower.stop()

    @property
    def figures(self) -> str:
        """The campaign in one line."""
        longest = max((outcome.outage for outcome in self._outcomes), default=0)
        return (
            f"{self._trades:,} trades, {len(self._outcomes)} faults, "
            f"lost {len(self._findings.lost)}, doubled {len(self._findings.doubled)}, "
            f"{len(self._follower.seen) if self._follower else 0:,} events followed, "
            f"longest outage {longest:.1f} s"
        )

    @property
    def report(self) -> str:
        """What each kind of fault did, in a table; times are in seconds."""
        rows = [("fault", "times", "median", "longest", "limit", "slowest trade")]
        for fault in FAULTS:
            outcomes = [outcome for outcome in self._outcomes if outcome.fault is fault]
            if outcomes:
                outages = [outcome.outage for outcome in outcomes]
                rows.append(
                    (
                        fault.name,
                        str(len(outcomes)),
                        f"{statistics.median(outages):.1f}",
                        f"{max(outages):.1f}",
                        f"{fault.limit_seconds:.0f}",
                        f"{max(outcome.slowest for outcome in outcomes):.1f}",
                    )
                )
        return table(rows)

    @property
    def _trades(self) -> int:
        return len(self._ledger.acknowledged)

    @contextmanager
    def _platform(self) -> Iterator[Platform]:
        tls = ensure_tls_files(self._folder / "tls", (_READER_HOST,))
        with (
            SecretsManager() as secrets,
            Endpoint() as writer,
            Endpoint(_READER_HOST, writer.port) as reader,
        ):
            cluster = Cluster(self._folder, tls, writer, reader)
            os.environ.update(
                {
                    "AWS_REGION": _REGION,
                    "AWS_DEFAULT_REGION": _REGION,
                    "AWS_ACCESS_KEY_ID": "test",
                    "AWS_SECRET_ACCESS_KEY": "test",
                    "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets.url,
                    "ENVIRONMENT_SUFFIX": "faults",
                    "DATABASE_WRITER_ENDPOINT": writer.host,
                    "DATABASE_READER_ENDPOINT": reader.host,
                    "DATABASE_PORT": str(writer.port),
                    "DATABASE_NAME": DATABASE,
                    "DATABASE_CA_FILE": str(tls.ca),
                    "DATABASE_APP_SECRET_ARN": SECRET_ARN,
                    "POWERTOOLS_LOG_LEVEL": "WARNING",
                }
            )
            function = Function(self._folder / "function.log")
            try:
                cluster.start()
                with cluster.connect(cluster.writer) as connection:
                    apply_migrations(connection, load_migrations(_MIGRATIONS))
                    address = Address(writer.host, writer.port, DATABASE, str(tls.ca))
                    ensure_app_user(
                        connection,
                        boto3.client("secretsmanager"),
                        SECRET_ARN,
                        log_in=functools.partial(connect, address),
                        username=_APP_USER,
                    )
                yield Platform(cluster, function, secrets)
            finally:
                function.stop()
                cluster.stop()

    def _strike(self, fault: Fault, number: int, platform: Platform, callers: Callers) -> None:
        self._ledger.slowest = 0
        began = time.monotonic()
        fault.strike(platform, random.Random(f"{self._seed} {fault.name} {number}"))
        healed = time.monotonic()
        what = f"fault {number} ({fault.name})"
        _wait(lambda: callers.all_served_since(healed), f"all callers are served after {what}")
        outage = _longest_gap(began, self._ledger.times)
        self._check(what, platform, callers)
        self._outcomes.append(Outcome(fault, outage, self._ledger.slowest))
        if outage > fault.limit_seconds:
            raise CampaignFailed(
                f"{what}: no trade was acknowledged for {outage:.1f} s; "
                f"the limit is {fault.limit_seconds:.0f} s"
            )

    def _check(self, what: str, platform: Platform, callers: Callers) -> None:
        """Compare all servers, and the API's positions, with what the callers know."""
        callers.pause()
        _wait(callers.are_at_rest, f"all callers have an answer after {what}")
        problems: list[str] = []

        def agrees() -> bool:
            problems[:] = self._problems(platform)
            return not problems

        try:
            _wait(agrees, "the book is right", seconds=_SETTLING_SECONDS)
        except TimeoutError:
            raise CampaignFailed(f"{what}: {'; '.join(problems[:5])}") from None
        callers.go_on()

    def _problems(self, platform: Platform) -> list[str]:
        cluster, follower = platform.cluster, self._follower
        assert follower is not None
        cluster.settle()
        books = [server.execute(f"{BOOK} ORDER BY trade_id") for server in cluster.servers]
        book = read_book(books[0])
        self._findings = compare(self._ledger, book)
        problems = [
            *self._ledger.problems,
            *platform.function.defects,
            *follower.problems,
            *(f"{key} was lost" for key in self._findings.lost),
            *(f"{key} was booked twice" for key in self._findings.doubled),
            *self._findings.wrong,
        ]
        # While nobody books, the follower reaches the end of the feed.
        problems += missed(list(follower.seen), book)
        if len(set(books)) > 1:
            problems.append("the servers' books differ")
        api = Client("", transport=platform.function.send)
        for consistent in (True, False):
            try:
                answer = api.list_positions(consistent=consistent)
            except ApiError as error:
                # The first read may find a connection that the fault has left silent.
                problems.append(f"GET /positions?consistent={consistent}: {error}")
                continue
            told = {p["symbol"]: Decimal(p["exact_quantity"]) for p in answer["positions"]}
            if told != positions(book):
                problems.append(
                    f"GET /positions?consistent={consistent} is not the sum of the trades"
                )
        with cluster.connect(cluster.writer) as connection:
            connection.select_db(DATABASE)
            _, differences = recount(connection, lambda: True)
            problems += [f"the recount finds {difference}" for difference in differences]
        return problems


def _longest_gap(began: float, times: list[float]) -> float:
    """The longest time without an acknowledgement since an instant."""
    recent = [instant for instant in times if instant >= began]
    return max(after - before for before, after in zip([began, *recent], recent, strict=False))


def _wait(condition: Callable[[], bool], what: str, seconds: float = _PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s, but not until {what}")
        time.sleep(_POLL_SECONDS)
