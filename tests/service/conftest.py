"""A real MariaDB server in Aurora's place, migrated as a deploy would."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from local.mariadb import MariaDBServer
from migration.runner import apply_migrations, load_migrations
from tests.ports import free_port
from trading import api
from trading.database import connect
from trading.secret import Credentials
from trading.telemetry import logger

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "service" / "migrations"
ADMIN = Credentials("platform_admin", "admin-password")
APP_SECRET_ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:app"
MASTER_SECRET_ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:master"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDBServer]:
    server = MariaDBServer(tmp_path_factory.mktemp("mariadb"), free_port())
    server.start()
    server.execute(
        f"CREATE USER {ADMIN.username}@'%' IDENTIFIED BY '{ADMIN.password}';"
        f"GRANT ALL ON *.* TO {ADMIN.username}@'%' WITH GRANT OPTION;"
    )
    yield server
    server.stop()


@pytest.fixture
def database(server: MariaDBServer) -> Iterator[Connection[Cursor]]:
    """An administrator's connection to an empty database `trading`."""
    server.execute("DROP DATABASE IF EXISTS trading; CREATE DATABASE trading;")
    server.execute("DROP USER IF EXISTS trade_app@'%';")
    with admin_connection(server) as connection:
        yield connection


def admin_connection(server: MariaDBServer) -> Connection[Cursor]:
    return connect(host="127.0.0.1", port=server.port, database="trading", credentials=ADMIN)


@pytest.fixture
def schema(database: Connection[Cursor]) -> Connection[Cursor]:
    """The same, with the service's schema."""
    apply_migrations(database, load_migrations(MIGRATIONS))
    return database


@pytest.fixture
def service_variables(server: MariaDBServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a function, as the template sets it."""
    for name, value in {
        "AWS_REGION": "us-east-1",
        "ENVIRONMENT_SUFFIX": "test",
        "DATABASE_WRITER_ENDPOINT": "127.0.0.1",
        "DATABASE_PORT": str(server.port),
        "DATABASE_NAME": "trading",
        "DATABASE_APP_SECRET_ARN": APP_SECRET_ARN,
        "DATABASE_MASTER_SECRET_ARN": MASTER_SECRET_ARN,
    }.items():
        monkeypatch.setenv(name, value)


Call = Callable[..., tuple[int, dict[str, Any], dict[str, list[str]]]]


@pytest.fixture
def call(
    schema: Connection[Cursor], service_variables: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Call]:
    """Calls the API's handler as API Gateway does: status, document and headers come back."""
    monkeypatch.setattr(api, "fetch_credentials", lambda arn: {APP_SECRET_ARN: ADMIN}[arn])
    api.settings.cache_clear()
    api.store.cache_clear()

    def send(
        body: str | None,
        *,
        method: str = "POST",
        path: str = "/trade",
        is_base64_encoded: bool = False,
    ) -> tuple[int, dict[str, Any], dict[str, list[str]]]:
        event = json.loads((ROOT / "service" / "events" / "post_trade.json").read_text())
        event.update(body=body, httpMethod=method, path=path, isBase64Encoded=is_base64_encoded)
        context = SimpleNamespace(
            function_name="trade",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:trade",
            aws_request_id="request-1",
        )
        answer = api.handler(event, context)  # type: ignore[arg-type]
        return answer["statusCode"], json.loads(answer["body"]), answer["multiValueHeaders"]

    yield send
    api.store.cache_clear()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the functions log."""
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream


def rows(connection: Connection[Cursor], sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
