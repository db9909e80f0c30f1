from __future__ import annotations

import http.server
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import OperationalError, ProgrammingError

from local.mariadb import MariaDBServer
from migration import handler as migration_handler
from migration import runner
from migration.app_user import APP_USER, ensure_app_user
from migration.runner import Migration, MigrationError, apply_migrations, load_migrations
from tests.service.conftest import ADMIN, APP_SECRET_ARN, MIGRATIONS, admin_connection, rows
from trading.database import connect
from trading.secret import Credentials

ONE = Migration("0001_one", "CREATE TABLE one (id INT)")
TWO = Migration("0002_two", "CREATE TABLE two (id INT)")
BROKEN = Migration("0003_broken", "CREATE TABEL three (id INT)")


class ResourceNotFoundException(Exception):
    pass


class Secrets:
    """Secrets Manager, as far as the migration uses it."""

    exceptions = SimpleNamespace(ResourceNotFoundException=ResourceNotFoundException)

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803
        if SecretId not in self.values:
            raise ResourceNotFoundException
        return {"SecretString": self.values[SecretId]}

    def put_secret_value(self, *, SecretId: str, SecretString: str) -> None:  # noqa: N803
        self.values[SecretId] = SecretString

    def credentials(self, arn: str) -> Credentials:
        value = json.loads(self.values[arn])
        return Credentials(value["username"], value["password"])


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


def test_a_failed_statement_leaves_those_before_it_applied_and_a_repaired_file_goes_on(
    database: Connection[Cursor],
) -> None:
    with pytest.raises(ProgrammingError):
        apply_migrations(database, (ONE, BROKEN))
    repaired = Migration(BROKEN.name, "CREATE TABLE three (id INT)")
    assert apply_migrations(database, (ONE, repaired)) == ["0003_broken"]


def test_a_second_runner_waits_and_then_gives_up(
    server: MariaDBServer, database: Connection[Cursor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_LOCK_TIMEOUT_SECONDS", 0.2)
    with admin_connection(server) as first:
        rows(first, "SELECT GET_LOCK('trading.migrations', 0)")
        with pytest.raises(MigrationError, match="still running"):
            apply_migrations(database, (ONE,))
    # The lock went with the connection of the first runner, as it does when a runner is killed.
    assert apply_migrations(database, (ONE,)) == ["0001_one"]


def test_the_services_own_files_have_one_statement_each_and_unbroken_numbers() -> None:
    migrations = load_migrations(MIGRATIONS)
    assert [int(m.name[:4]) for m in migrations] == list(range(1, len(migrations) + 1))
    assert not any(";" in migration.statement for migration in migrations)


def test_a_file_with_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "create-trades.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match=r"create-trades\.sql"):
        load_migrations(tmp_path)


def connect_as(server: MariaDBServer, credentials: Credentials) -> Connection[Cursor]:
    return connect(host="127.0.0.1", port=server.port, database="trading", credentials=credentials)


def test_the_app_user_gets_a_secret_and_may_book_trades_and_no_more(
    server: MariaDBServer, schema: Connection[Cursor]
) -> None:
    secrets = Secrets()
    ensure_app_user(schema, secrets, APP_SECRET_ARN)
    credentials = secrets.credentials(APP_SECRET_ARN)
    assert credentials.username == APP_USER
    with connect_as(server, credentials) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO trades (trade_id, symbol, quantity, status) VALUES ('1', 'A', 1, 'X')"
        )
        for forbidden in (
            "DELETE FROM trades",
            "UPDATE trades SET quantity = 2",
            "DROP TABLE trades",
            "CREATE TABLE other (id INT)",
            "SELECT * FROM schema_migrations",
            "SELECT * FROM mysql.user",
        ):
            with pytest.raises((OperationalError, ProgrammingError), match="denied"):
                cursor.execute(forbidden)


def test_a_stored_password_is_kept_and_given_to_the_user_again(
    server: MariaDBServer, schema: Connection[Cursor]
) -> None:
    secrets = Secrets()
    ensure_app_user(schema, secrets, APP_SECRET_ARN)
    first = secrets.credentials(APP_SECRET_ARN)
    with schema.cursor() as cursor:
        cursor.execute("DROP USER trade_app@'%'")
    ensure_app_user(schema, secrets, APP_SECRET_ARN)
    assert secrets.credentials(APP_SECRET_ARN) == first
    connect_as(server, first).close()


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
    threading.Thread(target=listener.serve_forever, daemon=True).start()
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


CONTEXT: Any = SimpleNamespace(
    function_name="migration",
    memory_limit_in_mb=512,
    invoked_function_arn="arn",
    aws_request_id="request-1",
)


@pytest.fixture
def secrets(service_variables: None, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    secrets = Secrets()
    monkeypatch.setattr(migration_handler, "fetch_credentials", lambda _arn: ADMIN)
    monkeypatch.setattr(migration_handler.boto3, "client", lambda _service: secrets)
    monkeypatch.setattr(migration_handler, "_MIGRATIONS", MIGRATIONS)
    return secrets


def test_a_deploy_migrates_and_tells_cloudformation(
    database: Connection[Cursor],
    secrets: Secrets,
    answers: tuple[str, list[dict[str, Any]]],
    logs: io.StringIO,
) -> None:
    url, received = answers
    for kind in ("Create", "Update"):
        migration_handler.handler(request(url, kind), CONTEXT)
    assert [answer["Status"] for answer in received] == ["SUCCESS", "SUCCESS"]
    assert received[0]["PhysicalResourceId"] == "database-migration"
    assert rows(database, "SELECT COUNT(*) FROM trades") == [(0,)]
    password = secrets.credentials(APP_SECRET_ARN).password
    assert password not in logs.getvalue()
    assert ADMIN.password not in logs.getvalue()


def test_deleting_the_service_leaves_the_data(
    schema: Connection[Cursor], secrets: Secrets, answers: tuple[str, list[dict[str, Any]]]
) -> None:
    url, received = answers
    migration_handler.handler(request(url, "Delete"), CONTEXT)
    assert received[0]["Status"] == "SUCCESS"
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(0,)]


def test_a_failed_migration_fails_the_deploy_with_the_reason(
    secrets: Secrets,
    answers: tuple[str, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, received = answers
    monkeypatch.setenv("DATABASE_PORT", "1")
    migration_handler.handler(request(url, "Create"), CONTEXT)
    assert received[0]["Status"] == "FAILED"
    assert "OperationalError" in received[0]["Reason"]
