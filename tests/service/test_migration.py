from __future__ import annotations

import dataclasses
import functools
import http.server
import io
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import OperationalError, ProgrammingError

from archive.positions import recount
from local.database_server import MySQLServer
from migration import handler as migration_handler
from migration import runner
from migration.app_user import APP_RIGHTS, ARCHIVE_RIGHTS, ARCHIVE_USER, ensure_app_user
from migration.runner import Migration, MigrationError, MoreRows, apply_migrations, load_migrations
from tests.service.conftest import (
    ADMIN,
    APP,
    APP_SECRET_ARN,
    APP_USER,
    MASTER_SECRET_ARN,
    MIGRATIONS,
    Secrets,
    context,
    rows,
)
from trading.database import connect
from trading.secret import PENDING, Credentials
from trading.settings import Address

ONE = Migration("0001_one", "CREATE TABLE one (id INT)")
TWO = Migration("0002_two", "CREATE TABLE two (id INT)")
BROKEN = Migration("0003_broken", "CREATE TABEL three (id INT)")


def test_each_file_is_applied_once_and_in_order(database: Connection[Cursor]) -> None:
    assert apply_migrations(database, (ONE,)) == ["0001_one"]
    assert apply_migrations(database, (ONE, TWO)) == ["0002_two"]
    assert apply_migrations(database, (ONE, TWO)) == []
    history = rows(database, "SELECT name, checksum FROM schema_migrations ORDER BY name")
    assert history == [("0001_one", ONE.checksum), ("0002_two", TWO.checksum)]


def test_a_changed_old_file_is_refused_before_anything_is_applied(
    database: Connection[Cursor],
) -> None:
    apply_migrations(database, (ONE,))
    changed = Migration(ONE.name, "CREATE TABLE one (id BIGINT)")
    with pytest.raises(MigrationError, match="0001_one was changed"):
        apply_migrations(database, (changed, TWO))
    assert rows(database, "SHOW TABLES LIKE 'two'") == []


def test_a_failed_statement_is_not_applied_and_a_repaired_file_goes_on(
    database: Connection[Cursor],
) -> None:
    with pytest.raises(MigrationError, match="0003_broken failed and was not applied"):
        apply_migrations(database, (ONE, BROKEN, TWO))
    assert rows(database, "SELECT name FROM schema_migrations") == [("0001_one",)]
    assert rows(database, "SHOW TABLES LIKE 'two'") == []
    repaired = Migration(BROKEN.name, "CREATE TABLE three (id INT)")
    assert apply_migrations(database, (ONE, repaired)) == ["0003_broken"]


def test_a_table_that_someone_else_made_is_a_failure_each_time(
    database: Connection[Cursor],
) -> None:
    database.query("CREATE TABLE one (id INT)")
    for _ in range(2):
        with pytest.raises(MigrationError, match="already exists"):
            apply_migrations(database, (ONE,))


def test_a_release_that_was_rolled_back_runs_its_older_files(
    database: Connection[Cursor],
) -> None:
    apply_migrations(database, (ONE, TWO))
    assert apply_migrations(database, (ONE,)) == []


CHANGES = (
    ONE,
    Migration("0002_column", "ALTER TABLE one ADD COLUMN more INT NULL"),
    Migration("0003_index", "CREATE INDEX more ON one (more)"),
    Migration("0004_rows", "INSERT INTO one (id, more) VALUES (1, 2)"),
    Migration("0005_table", "CREATE TABLE two (id INT)"),
)


class Killed(BaseException):
    pass


class KilledCursor(Cursor):
    """The cursor of a runner that is killed before or after its n-th statement."""

    left = 0
    before = True

    def execute(self, query: str, args: Any = None) -> int:
        KilledCursor.left -= 1
        if KilledCursor.left == 0 and KilledCursor.before:
            self._die()
        result = super().execute(query, args)
        if KilledCursor.left == 0:
            self._die()
        return result

    def _die(self) -> NoReturn:
        # The server sees the end of the connection, as with a process that is gone.
        self.connection._force_close()
        raise Killed


@pytest.mark.parametrize("before", [True, False])
def test_a_runner_that_is_killed_at_any_point_is_finished_by_the_next(
    database: Connection[Cursor], address: Address, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_LOCK_TIMEOUT_SECONDS", 5)
    points = 0
    finished = False
    while not finished:
        points += 1
        database.query("DROP TABLE IF EXISTS one, two, schema_migrations")
        KilledCursor.left, KilledCursor.before = points, before
        killed = connect(address, ADMIN)
        killed.cursorclass = KilledCursor
        try:
            apply_migrations(killed, CHANGES)
            finished = True
        except Killed:
            apply_migrations(database, CHANGES)
        assert rows(database, "SELECT id, more FROM one") == [(1, 2)]
        assert len(rows(database, "SHOW INDEX FROM one")) == 1
        assert rows(database, "SELECT COUNT(*) FROM two") == [(0,)]
        history = rows(database, "SELECT name FROM schema_migrations WHERE applied_at IS NOT NULL")
        assert [name for (name,) in history] == [change.name for change in CHANGES]
    assert points > 4 * len(CHANGES)


# Lock, three settings, history; four for each file; and the lock's release.
STATEMENTS_OF_A_RUN = 5 + 4 + 1


@pytest.mark.parametrize("before", [True, False])
def test_a_run_that_is_killed_in_any_of_the_services_files_is_finished_by_the_next(
    server: MySQLServer,
    database: Connection[Cursor],
    address: Address,
    before: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "_LOCK_TIMEOUT_SECONDS", 5)
    files = load_migrations(MIGRATIONS)
    kills = 0
    # Each file is killed at the same statement, so that a schema serves for all files.
    for point in range(1, STATEMENTS_OF_A_RUN + 3):
        server.execute("DROP DATABASE trading; CREATE DATABASE trading;")
        database.select_db("trading")
        for number in range(1, len(files) + 1):
            KilledCursor.left, KilledCursor.before = point, before
            killed = connect(address, ADMIN)
            killed.cursorclass = KilledCursor
            try:
                apply_migrations(killed, files[:number])
                killed.close()
            except Killed:
                kills += 1
                apply_migrations(database, files[:number])
        history = rows(database, "SELECT name FROM schema_migrations WHERE applied_at IS NOT NULL")
        assert [name for (name,) in history] == [file.name for file in files]
    assert kills >= STATEMENTS_OF_A_RUN * len(files)


@pytest.mark.parametrize("before", [True, False])
def test_user_creation_that_is_killed_at_any_statement_is_finished_by_the_next_run(
    server: MySQLServer, database: Connection[Cursor], address: Address, before: bool
) -> None:
    """The secret is written last."""
    apply_migrations(database, load_migrations(MIGRATIONS))
    points = 0
    finished = False
    while not finished:
        points += 1
        server.execute(f"DROP USER IF EXISTS {APP_USER}@'%', {ARCHIVE_USER}@'%';")
        secrets = Secrets()
        KilledCursor.left, KilledCursor.before = points, before
        killed = connect(address, ADMIN)
        killed.cursorclass = KilledCursor
        try:
            ensure(killed, address, secrets)
            finished = True
        except Killed:
            assert secrets.fetch() is None
            ensure(database, address, secrets)
        credentials = secrets.fetch()
        assert credentials is not None
        with connect(address, credentials) as connection:
            assert rows(connection, "SELECT COUNT(*) FROM trades") == [(0,)]
            assert rows(connection, "SELECT COUNT(*) FROM positions") == [(0,)]
    # Each user, its password and its rights.
    assert points > 4 + len(APP_RIGHTS) + len(ARCHIVE_RIGHTS)


def test_a_connection_that_breaks_in_a_statement_leaves_it_to_the_next_run(
    server: MySQLServer, database: Connection[Cursor], address: Address
) -> None:
    slow = Migration("0001_slow", "CREATE TABLE slow AS SELECT SLEEP(5) AS nothing")
    with connect(address, ADMIN) as broken:
        victim = broken.thread_id()
        threading.Timer(0.3, lambda: server.execute(f"KILL {victim}")).start()
        with pytest.raises(OperationalError):
            apply_migrations(broken, (slow,))
    assert rows(database, "SELECT name, applied_at FROM schema_migrations") == [("0001_slow", None)]
    with pytest.raises(MigrationError, match="0001_slow was changed"):
        apply_migrations(database, (Migration("0001_slow", "CREATE TABLE slow (id INT)"),))


@contextmanager
def long_read(address: Address) -> Iterator[Connection[Cursor]]:
    """A transaction that has read the table `one` and does not end."""
    with connect(address, ADMIN) as reader:
        reader.query("BEGIN")
        rows(reader, "SELECT * FROM one")
        yield reader


def test_a_wait_for_a_table_in_use_does_not_stop_trades(
    database: Connection[Cursor], address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_TABLE_LOCK_TRIES", 1)
    apply_migrations(database, (ONE,))
    with (
        long_read(address),
        pytest.raises(MigrationError, match=r"0002_column failed.*Lock wait timeout"),
    ):
        apply_migrations(database, CHANGES[:2])
    assert apply_migrations(database, CHANGES[:2]) == ["0002_column"]


def test_a_long_read_is_waited_for_in_short_tries_between_which_others_use_the_table(
    database: Connection[Cursor],
    address: Address,
    monkeypatch: pytest.MonkeyPatch,
    logs: io.StringIO,
) -> None:
    monkeypatch.setattr(runner, "_TABLE_LOCK_PAUSE_SECONDS", (0.5, 0.5))
    apply_migrations(database, (ONE,))
    longest, stop = 0.0, threading.Event()

    def use() -> None:
        nonlocal longest
        with connect(address, ADMIN) as user:
            while not stop.is_set():
                started = time.monotonic()
                user.query("INSERT INTO one (id) VALUES (1)")
                longest = max(longest, time.monotonic() - started)
                time.sleep(0.02)

    user = threading.Thread(target=use)
    with long_read(address) as reader:
        user.start()
        threading.Timer(2.7, reader.commit).start()
        assert apply_migrations(database, CHANGES[:2]) == ["0002_column"]
    stop.set()
    user.join()
    assert logs.getvalue().count("table is in use") == 2
    assert 0.5 < longest < 2


def test_a_statement_that_outlasts_a_deploy_still_runs_and_the_next_one_finishes_it(
    server: MySQLServer,
    database: Connection[Cursor],
    address: Address,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "_LOCK_TIMEOUT_SECONDS", 0.1)
    table = Migration("0001_table", "CREATE TABLE large (id SERIAL, t TEXT)")
    index = Migration("0002_index", "CREATE INDEX long_one ON large (t(64))")
    apply_migrations(database, (table,))
    database.query(
        "INSERT INTO large (t) SELECT SHA2(RAND(), 256) FROM information_schema.collations"
    )
    for _ in range(9):
        database.query("INSERT INTO large (t) SELECT SHA2(RAND(), 256) FROM large")
    with connect(address, ADMIN, statement_seconds=0.1) as impatient:
        with pytest.raises(MigrationError, match=r"0002_index takes longer .* still runs"):
            apply_migrations(impatient, (table, index))
        # Nothing runs next to it.
        with pytest.raises(MigrationError, match="deploy again when it has ended"):
            apply_migrations(database, (table, index))
    monkeypatch.setattr(runner, "_LOCK_TIMEOUT_SECONDS", 30)
    assert apply_migrations(database, (table, index)) == ["0002_index"]
    assert len(rows(database, "SHOW INDEX FROM large WHERE Key_name = 'long_one'")) == 1


BATCHES = Migration(
    "0002_batches",
    "-- repeat until no row changes\nUPDATE one SET id = 2 WHERE id = 1 LIMIT 10",
)


@pytest.fixture
def forty(database: Connection[Cursor]) -> Connection[Cursor]:
    """A table with forty rows to change."""
    apply_migrations(database, (ONE,))
    database.query(f"INSERT INTO one (id) VALUES {', '.join(['(1)'] * 40)}")
    return database


def test_rows_are_changed_in_batches_that_each_commit(
    forty: Connection[Cursor], address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    with connect(address, ADMIN) as other:
        monkeypatch.setattr(
            runner.time,
            "sleep",
            lambda _: left.append(rows(other, "SELECT COUNT(*) FROM one WHERE id = 1")[0][0]),
        )
        assert apply_migrations(forty, (ONE, BATCHES)) == ["0002_batches"]
    assert left == [30, 20, 10, 0]


def test_batches_end_although_others_add_rows_to_change(
    forty: Connection[Cursor], address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(address, ADMIN) as other:
        monkeypatch.setattr(
            runner.time, "sleep", lambda _: other.query("INSERT INTO one (id) VALUES (1)")
        )
        assert apply_migrations(forty, (ONE, BATCHES)) == ["0002_batches"]
    ((left,),) = rows(forty, "SELECT COUNT(*) FROM one WHERE id = 1")
    assert left <= 1


def test_batches_that_outlast_a_deploy_are_continued_by_the_next(
    forty: Connection[Cursor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_BATCHES_SECONDS", -1)
    for left in (30, 20, 10, 0):
        with pytest.raises(MoreRows, match="0002_batches still has rows to change"):
            apply_migrations(forty, (ONE, BATCHES))
        assert rows(forty, "SELECT COUNT(*) FROM one WHERE id = 1") == [(left,)]
    assert apply_migrations(forty, (ONE, BATCHES)) == ["0002_batches"]


def test_a_second_runner_waits_and_then_gives_up(
    address: Address, database: Connection[Cursor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_LOCK_TIMEOUT_SECONDS", 0.2)
    with connect(address, ADMIN) as first:
        rows(first, "SELECT GET_LOCK('trading.migrations', 0)")
        with pytest.raises(MigrationError, match="still works on this database"):
            apply_migrations(database, (ONE,))
    # The lock went with the connection of the first runner, as it does when a runner is killed.
    assert apply_migrations(database, (ONE,)) == ["0001_one"]


def test_two_runners_at_once_apply_each_file_once(
    database: Connection[Cursor], address: Address
) -> None:
    def run(_: int) -> list[str]:
        with connect(address, ADMIN) as connection:
            return apply_migrations(connection, CHANGES)

    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(run, range(4)))
    assert sorted(applied) == [[], [], [], [change.name for change in CHANGES]]


def test_the_services_own_files_have_unbroken_numbers() -> None:
    migrations = load_migrations(MIGRATIONS)
    assert [int(m.name[:4]) for m in migrations] == list(range(1, len(migrations) + 1))


def test_a_file_with_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "create-trades.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match=r"create-trades\.sql"):
        load_migrations(tmp_path)


def ensure(connection: Connection[Cursor], address: Address, secrets: Secrets) -> Credentials:
    """Run what a deploy runs, and give what the secret then holds."""
    ensure_app_user(
        connection, secrets, APP_SECRET_ARN, functools.partial(connect, address), username=APP_USER
    )
    credentials = secrets.fetch()
    assert credentials is not None
    return credentials


def test_the_app_user_may_book_and_void_trades_and_no_more(
    schema: Connection[Cursor], address: Address
) -> None:
    with connect(address, APP) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, caller, "
            f"principal) VALUES ('TRADE-{'1' * 26}', NOW(6), 'SUCCESS', 'A', 'BUY', 1, '', '')"
        )
        cursor.execute("UPDATE trades SET status = 'VOID', voided_at = NOW(6), voided_by = ''")
        for forbidden in (
            "DELETE FROM trades",
            "UPDATE trades SET quantity = 2",
            "UPDATE trades SET created_at = NOW(6)",
            "UPDATE trades SET principal = 'eve'",
            "TRUNCATE TABLE trades",
            "DROP TABLE trades",
            "ALTER TABLE trades DROP COLUMN price",
            "CREATE TABLE other (id INT)",
            "SELECT * FROM schema_migrations",
            "SELECT * FROM mysql.user",
            "GRANT SELECT ON trades TO trade_app@'%'",
        ):
            with pytest.raises((OperationalError, ProgrammingError), match="denied"):
                cursor.execute(forbidden)


def test_the_app_user_must_use_tls(
    server: MySQLServer, schema: Connection[Cursor], address: Address
) -> None:
    ((created,),) = rows(schema, "SHOW CREATE USER trade_app@'%'")
    assert "REQUIRE SSL" in created


def test_a_secret_without_a_value_gets_one_that_opens_the_database(
    schema: Connection[Cursor], address: Address
) -> None:
    credentials = ensure(schema, address, Secrets())
    assert credentials.username == APP_USER
    assert len(credentials.password) >= 32
    assert credentials.cursor_key not in ("", credentials.password)
    connect(address, credentials).close()


def test_a_secret_of_an_earlier_release_gets_a_cursor_key_and_keeps_its_password(
    schema: Connection[Cursor], address: Address
) -> None:
    secrets = Secrets()
    secrets.put_secret_value(
        SecretId=APP_SECRET_ARN,
        SecretString=json.dumps({"username": APP_USER, "password": APP.password}),
    )
    credentials = ensure(schema, address, secrets)
    assert credentials.password == APP.password
    assert credentials.cursor_key


def test_a_dropped_user_is_recreated_with_the_stored_password(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    schema.query("DROP USER trade_app@'%'")
    assert ensure(schema, address, secrets) == APP
    connect(address, APP).close()


def test_a_password_that_does_not_open_the_database_is_set_again(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    schema.query("ALTER USER trade_app@'%' IDENTIFIED BY 'another'")
    assert ensure(schema, address, secrets) == APP
    connect(address, APP).close()


def test_a_rotation_that_is_under_way_is_left_alone(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    pending = Credentials(APP_USER, "pending", APP.cursor_key)
    secrets.set(pending, PENDING)
    schema.query("ALTER USER trade_app@'%' IDENTIFIED BY 'pending'")
    ensure(schema, address, secrets)
    connect(address, pending).close()


def test_a_database_that_goes_away_meanwhile_is_no_wrong_password(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    elsewhere = dataclasses.replace(address, port=1)
    with pytest.raises(OperationalError, match="Can't connect"):
        ensure(schema, elsewhere, secrets)


@pytest.fixture
def answers() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The URL that CloudFormation listens on, and what arrived there."""
    received: list[dict[str, Any]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            length = int(self.headers["Content-Length"])
            received.append(json.loads(self.rfile.read(length)))
            assert not self.headers["Content-Type"]
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    listener = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{listener.server_port}/answer", received
    listener.shutdown()


def request(url: str, kind: str) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ResponseURL": url,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "DatabaseMigration",
    }


@pytest.fixture
def deploy(
    database: Connection[Cursor],
    service_variables: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Secrets:
    """The migration function of a first deploy: no schema, no user, a secret without a value."""
    secrets = Secrets()
    monkeypatch.setattr(
        migration_handler,
        "fetch_credentials",
        lambda arn, _stage: {MASTER_SECRET_ARN: ADMIN}[arn],
    )
    monkeypatch.setattr(migration_handler.boto3, "client", lambda _service: secrets)
    monkeypatch.setattr(migration_handler, "_MIGRATIONS", MIGRATIONS)
    return secrets


def test_a_deploy_migrates_and_tells_cloudformation(
    database: Connection[Cursor],
    deploy: Secrets,
    answers: tuple[str, list[dict[str, Any]]],
    logs: io.StringIO,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url, received = answers
    for kind in ("Create", "Update"):
        migration_handler.handler(request(url, kind), context())
    # The alarm on a missing archive counts from these.
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    signs = [line for line in lines if "ArchiveHeartbeat" in line]
    assert [(line["service"], line["ArchiveHeartbeat"]) for line in signs] == [("archive", 1)] * 2
    assert [answer["Status"] for answer in received] == ["SUCCESS", "SUCCESS"]
    assert received[0]["PhysicalResourceId"] == "database-migration"
    assert received[0]["Data"] == {"Role": "writer"}
    assert rows(database, "SELECT COUNT(*) FROM trades") == [(0,)]
    credentials = deploy.fetch()
    assert credentials is not None
    assert credentials.password not in logs.getvalue()
    assert ADMIN.password not in logs.getvalue()


def test_cloudformation_gets_its_answer_with_urllib3_1_too(
    answers: tuple[str, list[dict[str, Any]]], deploy: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, received = answers
    monkeypatch.delattr(migration_handler.urllib3, "request")
    migration_handler.handler(request(url, "Delete"), context())
    assert received[0]["Status"] == "SUCCESS"


def test_deleting_the_service_leaves_the_data(
    database: Connection[Cursor], deploy: Secrets, answers: tuple[str, list[dict[str, Any]]]
) -> None:
    url, received = answers
    for kind in ("Create", "Delete"):
        migration_handler.handler(request(url, kind), context())
    assert received[1]["Status"] == "SUCCESS"
    assert rows(database, "SELECT COUNT(*) FROM trades") == [(0,)]


def test_a_failed_migration_fails_the_deploy_with_the_reason(
    deploy: Secrets,
    answers: tuple[str, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, received = answers
    monkeypatch.setenv("DATABASE_PORT", "1")
    migration_handler.handler(request(url, "Create"), context())
    assert received[0]["Status"] == "FAILED"
    assert "OperationalError" in received[0]["Reason"]


def test_positions_are_exact_after_a_migration_while_others_book_and_void(
    database: Connection[Cursor], address: Address
) -> None:
    """As the release before it does, which knows neither positions nor fractions."""
    migrations = load_migrations(MIGRATIONS)
    before = tuple(m for m in migrations if m.name < "0009")
    apply_migrations(database, before)
    stop = threading.Event()

    def trade(number: int) -> int:
        booked = 0
        with connect(address, ADMIN) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                trade_id = f"TRADE-{number}-{booked}"
                cursor.execute(
                    "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, "
                    "caller, principal) VALUES (%s, NOW(6), 'SUCCESS', %s, %s, %s, '', '')",
                    (trade_id, f"S{booked % 30}", ("BUY", "SELL")[booked % 3 // 2], booked + 1),
                )
                booked += 1
                if booked % 4 == 0:
                    cursor.execute(
                        "UPDATE trades SET status = 'VOID', voided_at = NOW(6), voided_by = '' "
                        "WHERE trade_id = %s",
                        (f"TRADE-{number}-{booked // 2}",),
                    )
        return booked

    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(trade, number) for number in range(3)]
        try:
            time.sleep(0.3)
            applied = apply_migrations(database, migrations)
            time.sleep(0.1)
        finally:
            stop.set()
        booked = sum(each.result() for each in running)
    assert len(applied) == len(migrations) - len(before)
    counted, differences = recount(database, lambda: True)
    assert (counted, differences) == (30, [])
    assert rows(database, "SELECT COUNT(*) FROM trades") == [(booked,)]
    # Both the triggers and the statement for earlier trades have counted.
    assert rows(
        database, "SELECT slot = 0, SUM(quantity) <> 0 FROM positions GROUP BY slot = 0 ORDER BY 1"
    ) == [(0, 1), (1, 1)]
