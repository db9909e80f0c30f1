"""A real MySQL server in Aurora's place, migrated as a deploy would."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from secrets import token_urlsafe
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from local.database_server import MySQLServer, TLSFiles, ensure_tls_files
from migration.app_user import ensure_app_user
from migration.runner import apply_migrations, load_migrations
from tests.support.emulator import Emulator, running_emulator
from tests.support.ports import free_port
from trading import api
from trading.database import Database, Deadline, connect
from trading.models import Caller
from trading.secret import CURRENT, Credentials, CredentialStore
from trading.settings import Address
from trading.store import TradeStore
from trading.telemetry import logger

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "service" / "migrations"
# Any user of the machine can connect, and this one can write files of the server's user.
ADMIN = Credentials("platform_admin", token_urlsafe())
APP = Credentials("trade_app", "app-password", "cursor-key")
APP_SECRET_ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:app"
# What the data platform publishes as DatabaseAppUser.
APP_USER = "trade_app"
MASTER_SECRET_ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:master"

ALICE = {
    "accountId": "111122223333",
    "caller": "AROAALICE:session-1",
    "accessKey": "ASIAALICE",
    "userArn": "arn:aws:sts::111122223333:assumed-role/alice/session-1",
}
BOB = {
    "accountId": "111122223333",
    "caller": "AIDABOB",
    "userArn": "arn:aws:iam::111122223333:user/bob",
}
CALLER = Caller("AROAALICE", ALICE["accountId"], ALICE["userArn"])


class ResourceNotFoundException(Exception):
    pass


class Secrets:
    """The part of Secrets Manager that the service uses: values by ARN and stage."""

    exceptions = SimpleNamespace(ResourceNotFoundException=ResourceNotFoundException)

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}
        self.reads = 0

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, str]:  # noqa: N803
        self.reads += 1
        if (SecretId, VersionStage) not in self.values:
            raise ResourceNotFoundException
        return {"SecretString": self.values[SecretId, VersionStage]}

    def put_secret_value(self, *, SecretId: str, SecretString: str) -> None:  # noqa: N803
        self.values[SecretId, CURRENT] = SecretString

    def set(self, credentials: Credentials, stage: str = CURRENT) -> None:
        """Give the service's secret a value."""
        self.values[APP_SECRET_ARN, stage] = json.dumps(vars(credentials))

    def fetch(self, stage: str = CURRENT, prefix: str = "") -> Credentials | None:
        """The service's secret, as `fetch_credentials` gives it."""
        try:
            answer = self.get_secret_value(SecretId=APP_SECRET_ARN, VersionStage=stage)
        except ResourceNotFoundException:
            return None
        value = json.loads(answer["SecretString"])
        return Credentials(
            value[f"{prefix}username"], value[f"{prefix}password"], value.get("cursor_key")
        )


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TLSFiles:
    return ensure_tls_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tls: TLSFiles) -> Iterator[MySQLServer]:
    server = MySQLServer(tmp_path_factory.mktemp("mysql"), free_port(), tls, require_tls=True)
    server.start()
    server.execute(
        f"CREATE USER {ADMIN.username}@'%' IDENTIFIED BY '{ADMIN.password}';"
        f"GRANT ALL ON *.* TO {ADMIN.username}@'%' WITH GRANT OPTION;"
    )
    yield server
    server.stop()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("aws") / "local") as emulator:
        yield emulator


@pytest.fixture
def address(server: MySQLServer, tls: TLSFiles) -> Address:
    return Address("127.0.0.1", server.port, "trading", str(tls.ca))


@pytest.fixture
def database(server: MySQLServer, address: Address) -> Iterator[Connection[Cursor]]:
    """An administrator's connection to an empty database `trading`."""
    server.execute("DROP DATABASE IF EXISTS trading; CREATE DATABASE trading;")
    server.execute("DROP USER IF EXISTS trade_app@'%', trade_archive@'%';")
    with connect(address, ADMIN) as connection:
        yield connection
    server.execute("DROP DATABASE trading;")


@pytest.fixture
def secrets() -> Secrets:
    secrets = Secrets()
    secrets.set(APP)
    return secrets


@pytest.fixture
def schema(address: Address, secrets: Secrets) -> Iterator[Connection[Cursor]]:
    """An administrator's connection to the service's schema, with its user and no trades."""
    # Created by the first test that needs it, or after `database`.
    with connect(dataclasses.replace(address, database="mysql"), ADMIN) as connection:
        connection.query("CREATE DATABASE IF NOT EXISTS trading")
        connection.select_db("trading")
        apply_migrations(connection, load_migrations(MIGRATIONS))
        connection.query("DELETE FROM trades")
        connection.query("DELETE FROM positions")
        ensure_app_user(
            connection,
            secrets,
            APP_SECRET_ARN,
            functools.partial(connect, address),
            username=APP_USER,
        )
        yield connection


@pytest.fixture
def service_variables(server: MySQLServer, tls: TLSFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a function, as the template sets it."""
    for name, value in {
        "AWS_REGION": "us-east-1",
        "ENVIRONMENT_SUFFIX": "test",
        "DATABASE_WRITER_ENDPOINT": "127.0.0.1",
        "DATABASE_READER_ENDPOINT": "localhost",
        "DATABASE_PORT": str(server.port),
        "DATABASE_NAME": "trading",
        "DATABASE_CA_FILE": str(tls.ca),
        "DATABASE_APP_SECRET_ARN": APP_SECRET_ARN,
        "DATABASE_MASTER_SECRET_ARN": MASTER_SECRET_ARN,
        "DATABASE_APP_USER": APP_USER,
    }.items():
        monkeypatch.setenv(name, value)


def context(remaining_seconds: float = 30) -> Any:
    """What Lambda tells a function about an invocation."""
    return SimpleNamespace(
        function_name="trade",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:trade",
        aws_request_id="request-1",
        get_remaining_time_in_millis=lambda: int(remaining_seconds * 1000),
    )


class Call(Protocol):
    """Calls the API like API Gateway; returns status, document and headers."""

    def __call__(
        self,
        body: str | None = None,
        *,
        method: str = "POST",
        path: str = "/trade",
        query: dict[str, list[str]] | None = None,
        key: str | Sequence[str] | None = None,
        identity: dict[str, str] | None = None,
        is_base64_encoded: bool = False,
        remaining_seconds: float = 30,
    ) -> tuple[int, dict[str, Any], dict[str, list[str]]]: ...


@pytest.fixture
def service(
    schema: Connection[Cursor],
    service_variables: None,
    secrets: Secrets,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """A new execution environment of the trade function."""
    monkeypatch.setattr(api, "fetch_credentials", lambda _arn, stage: secrets.fetch(stage))
    api.environment.cache_clear()
    yield
    api.environment.cache_clear()


@pytest.fixture
def call(service: None) -> Call:
    def send(
        body: str | None = None,
        *,
        method: str = "POST",
        path: str = "/trade",
        query: dict[str, list[str]] | None = None,
        key: str | Sequence[str] | None = None,
        identity: dict[str, str] | None = None,
        is_base64_encoded: bool = False,
        remaining_seconds: float = 30,
    ) -> tuple[int, dict[str, Any], dict[str, list[str]]]:
        event = json.loads((ROOT / "service" / "events" / "post_trade.json").read_text())
        event.update(body=body, httpMethod=method, path=path, isBase64Encoded=is_base64_encoded)
        event["multiValueQueryStringParameters"] = query
        if key is not None:
            keys = [key] if isinstance(key, str) else list(key)
            event["headers"]["idempotency-key"] = keys[-1]
            event["multiValueHeaders"]["idempotency-key"] = keys
        event["requestContext"]["identity"].update(identity or {})
        answer = api.handler(event, context(remaining_seconds))
        return answer["statusCode"], json.loads(answer["body"]), answer["multiValueHeaders"]

    return send


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the functions log."""
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return stream


def store_at(address: Address, secrets: Secrets, seconds: float = 20) -> TradeStore:
    """A store of a separate execution environment, for a request of `seconds`."""
    database = Database(address, CredentialStore(secrets.fetch))
    return TradeStore(database, database, Deadline.after(seconds))


def rows(connection: Connection[Cursor], sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
