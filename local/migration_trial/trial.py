"""Applies migrations to a large table while the released code and the new code book trades."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

from local.migration_trial.callers import Answered, Callers, longest_gap
from local.migration_trial.probe import probe
from local.migration_trial.rig import DATABASE, SCRATCH, Rig, Snapshot, rig
from migration.runner import Migration, MigrationError, MoreRows, apply_migrations, load_migrations
from service.tools.migration_verdicts import Measured, Verdict
from shared.cli.errors import UserError

CALLERS = 2  # of each version
_FEW_ROWS = 100
# After a statement, callers that waited for it are answered.
_AFTERWARDS_SECONDS = 1.0
_DISK_POLL_SECONDS = 0.2
_MEGABYTE = 1024**2


@dataclass(frozen=True)
class Version:
    """A version of the service: its folder with `src`, `migrations` and `events`."""

    folder: Path

    @property
    def migrations(self) -> tuple[Migration, ...]:
        """Its migrations, in order."""
        return load_migrations(self.folder / "migrations")


def pending(released: Version, new: Version) -> tuple[Migration, ...]:
    """The migrations that the new version adds.

    Raises:
        UserError: a released migration was changed or removed.
    """
    before = {each.name: each.checksum for each in released.migrations}
    after = {each.name: each.checksum for each in new.migrations}
    for name, checksum in before.items():
        if after.get(name) != checksum:
            raise UserError(f"{name} was released and must not change; add a new migration")
    return tuple(each for each in new.migrations if each.name not in before)


def structural_verdicts(
    rig: Rig, released: tuple[Migration, ...], added: tuple[Migration, ...]
) -> dict[str, Verdict]:
    """How the server carries out each added migration, on a schema with a few rows.

    Raises:
        UserError: the server refuses one of them.
    """
    rig.migrate(SCRATCH, released)
    # The first migrations make the table.
    if released:
        rig.fill(SCRATCH, _FEW_ROWS)
    verdicts = {}
    with rig.connect(SCRATCH) as connection:
        for migration in added:
            try:
                verdicts[migration.name] = probe(connection, migration.statement)
            except MySQLError as error:
                raise UserError(f"{migration.name}: the server says {error}") from None
    return verdicts


def check_killed_runners(
    rig: Rig, released: tuple[Migration, ...], added: tuple[Migration, ...]
) -> int:
    """Kill the runner before and after each of its statements; the next run must finish.

    Returns:
        How many times it was killed.

    Raises:
        UserError: a run did not finish what a killed one began.
    """
    rig.migrate(SCRATCH, released)
    snapshot = rig.snapshot(SCRATCH)
    kills = 0
    for before in (True, False):
        point = 1
        while _is_killed(rig, snapshot, (*released, *added), point, before):
            point += 1
        kills += point - 1
    return kills


def _is_killed(
    rig: Rig, snapshot: Snapshot, everything: tuple[Migration, ...], point: int, before: bool
) -> bool:
    """Kill a runner at its n-th statement, and finish. Return whether it had that many."""
    rig.restore(SCRATCH, snapshot)
    rig.fill(SCRATCH, _FEW_ROWS)
    victim = rig.connect(SCRATCH)
    victim.cursorclass = _killed_cursor(point, before)
    try:
        apply_migrations(victim, everything)
    except _Killed:
        pass
    else:
        victim.close()
        return False
    with rig.connect(SCRATCH) as connection, connection.cursor() as cursor:
        try:
            apply_migrations(connection, everything)
        except MigrationError as error:
            when = "before" if before else "after"
            raise UserError(
                f"the runner was killed {when} its statement {point}, and the next run says: "
                f"{error}"
            ) from None
        cursor.execute("SELECT COUNT(*) FROM schema_migrations WHERE applied_at IS NOT NULL")
        if cursor.fetchone() != (len(everything),):
            raise UserError(
                f"the runner was killed at its statement {point}, and files are missing"
            )
    return True


class _Killed(BaseException):
    pass


def _killed_cursor(point: int, before: bool) -> type[Cursor]:
    """A kind of cursor whose connection breaks before or after the n-th statement."""
    left = point

    class KilledCursor(Cursor):
        def execute(self, query: str, args: Any = None) -> int:
            nonlocal left
            left -= 1
            if left == 0 and before:
                self._die()
            result = super().execute(query, args)
            if left == 0:
                self._die()
            return result

        def _die(self) -> NoReturn:
            # As the end of a process does.
            self.connection._force_close()  # type: ignore[attr-defined]
            raise _Killed

    return KilledCursor


def try_migrations(
    folder: Path,
    released: Version,
    new: Version,
    *,
    rows: int,
    seconds: float,
    progress: Callable[[str], None],
) -> Mapping[str, Verdict]:
    """Judge the migrations that a new version adds to the released one.

    The released code books trades while they are applied. Then the new code does so next to it,
    and then the released code alone again, as after a rollback; each for some seconds.

    Raises:
        UserError: the server refuses a migration, or a killed runner is not followed by one that
            finishes.
    """
    before, added = released.migrations, pending(released, new)
    progress(f"loading {rows:,} trades")
    with rig(folder) as made:
        # The users may have rights on tables that are added. Rights outlive their tables.
        made.migrate(DATABASE, new.migrations)
        made.provide_users()
        made.migrate(DATABASE, before)
        made.fill(DATABASE, rows)
        verdicts = structural_verdicts(made, before, added)
        kills = check_killed_runners(made, before, added)
        progress(f"killed the runner {kills} times; the next run finished each time")
        log = folder / "callers.log"
        with Callers(released.folder / "src", CALLERS, made.variables, log) as old:
            time.sleep(_AFTERWARDS_SECONDS)
            for number, migration in enumerate(added, start=1):
                progress(f"applying {migration.name}")
                measured = measure(made, old, (*before, *added[:number]), rows)
                verdicts[migration.name] = dataclasses.replace(
                    verdicts[migration.name], measured=measured
                )
                if measured.failure or measured.errors:
                    progress(f"failed requests: {_kinds(old.errors(0))}")
                    return verdicts
            switched = time.monotonic()
            made.provide_users()
            progress("the released code and the new code side by side")
            with Callers(new.folder / "src", CALLERS, made.variables, log) as fresh:
                time.sleep(seconds)
            progress("the released code alone again, as after a rollback")
            time.sleep(seconds)
            errors = [*old.errors(switched), *fresh.errors(switched)]
    if errors:
        progress(f"failed requests: {_kinds(errors)}")
        last = added[-1].name
        verdicts[last] = _with_errors(verdicts[last], len(errors))
    return verdicts


def _kinds(errors: list[Answered]) -> str:
    """What failed with which status, such as `book 500`."""
    return ", ".join(sorted({f"{each.kind} {each.status}" for each in errors}))


def _with_errors(verdict: Verdict, errors: int) -> Verdict:
    measured = verdict.measured
    assert measured is not None  # noqa: S101 - each migration was measured
    return dataclasses.replace(
        verdict, measured=dataclasses.replace(measured, errors=measured.errors + errors)
    )


def measure(made: Rig, callers: Callers, migrations: tuple[Migration, ...], rows: int) -> Measured:
    """Apply the last of the migrations, and say what callers saw."""
    failure = ""
    with made.connect(DATABASE) as connection, _disk_peak(made) as peak:
        began = time.monotonic()
        try:
            apply_all(connection, migrations)
        except MigrationError as error:
            failure = str(error)
        ended = time.monotonic()
    time.sleep(_AFTERWARDS_SECONDS)
    until = time.monotonic()
    return Measured(
        rows=rows,
        seconds=round(ended - began, 2),
        gap_seconds=round(longest_gap(callers.bookings(), began, until), 2),
        disk_megabytes=round(peak[0] / _MEGABYTE),
        errors=len(callers.errors(began)),
        failure=failure,
    )


def apply_all(connection: Connection[Cursor], migrations: tuple[Migration, ...]) -> None:
    """Apply migrations in as many deploys as their rows take.

    Raises:
        MigrationError: a migration failed.
    """
    while True:
        with contextlib.suppress(MoreRows):
            apply_migrations(connection, migrations)
            return


@contextmanager
def _disk_peak(made: Rig) -> Iterator[list[int]]:
    """A list with one number: the most bytes of disk that the block has taken so far."""
    before = made.disk_bytes()
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(_DISK_POLL_SECONDS):
            peak[0] = max(peak[0], made.disk_bytes() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
        peak[0] = max(peak[0], made.disk_bytes() - before)
