"""A release in a region whose database follows another region's."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from local.database_server import MySQLServer
from migration import handler, standby
from migration.app_user import ensure_app_user
from migration.runner import apply_migrations, load_migrations
from migration.standby import STANDBY, WRITER
from tests.service.conftest import (
    ADMIN,
    APP,
    APP_SECRET_ARN,
    APP_USER,
    MASTER_SECRET_ARN,
    MIGRATIONS,
    Secrets,
    context,
)
from tests.service.test_smoke_check import Cloud, check, cloud
from trading import api
from trading.database import connect
from trading.secret import ARCHIVE, Credentials, SecretUnavailable
from trading.settings import Address

__all__ = ["cloud"]


@pytest.fixture
def master() -> dict[str, Any]:
    """What the master user's secret holds."""
    return {"value": ADMIN}


@pytest.fixture
def region(
    database: Connection[Cursor],
    service_variables: None,
    master: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> Secrets:
    """A new region, whose writer endpoint has no address; and its secrets."""
    secrets = Secrets()
    functions = {MASTER_SECRET_ARN: lambda: master["value"], APP_SECRET_ARN: secrets.fetch}
    monkeypatch.setattr(handler, "fetch_credentials", lambda arn, *_stage: functions[arn]())
    monkeypatch.setattr(handler.boto3, "client", lambda _service: secrets)
    monkeypatch.setattr(handler, "_MIGRATIONS", MIGRATIONS)
    monkeypatch.setattr(standby, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(standby, "_WAIT_SECONDS", 0.3)
    monkeypatch.setenv("DATABASE_WRITER_ENDPOINT", "inactive.invalid")
    return secrets


def release_elsewhere(database: Connection[Cursor], address: Address, secrets: Secrets) -> None:
    """Do what a release in the writing region does, and replicate it."""
    apply_migrations(database, load_migrations(MIGRATIONS))
    ensure_app_user(
        database,
        secrets,
        APP_SECRET_ARN,
        functools.partial(connect, address),
        username=APP_USER,
    )


def test_where_another_region_writes_a_release_finds_what_it_needs(
    database: Connection[Cursor], address: Address, region: Secrets
) -> None:
    release_elsewhere(database, address, region)
    assert handler.provide_schema() == STANDBY


@pytest.fixture
def read_only(server: MySQLServer) -> Iterator[None]:
    server.execute("SET GLOBAL super_read_only = ON")
    yield
    server.execute("SET GLOBAL read_only = OFF")


def test_a_database_that_refuses_writes_is_a_standby_and_once_promoted_a_writer(
    database: Connection[Cursor],
    address: Address,
    region: Secrets,
    server: MySQLServer,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("DATABASE_WRITER_ENDPOINT", "127.0.0.1")
    release_elsewhere(database, address, region)
    request.getfixturevalue("read_only")
    assert handler.provide_schema() == STANDBY
    server.execute("SET GLOBAL read_only = OFF;")
    assert handler.provide_schema() == WRITER


def test_a_release_waits_for_the_one_that_began_at_the_same_time(
    database: Connection[Cursor],
    address: Address,
    region: Secrets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standby, "_WAIT_SECONDS", 20)

    def later() -> None:
        time.sleep(0.3)
        release_elsewhere(database, address, region)

    other = threading.Thread(target=later)
    other.start()
    started = time.monotonic()
    assert handler.provide_schema() == STANDBY
    assert time.monotonic() - started >= 0.3
    other.join()


def test_a_replica_that_does_not_arrive_fails_the_release_with_the_reason(
    database: Connection[Cursor], address: Address, region: Secrets
) -> None:
    with pytest.raises(standby.MigrationError, match=r"takes no writes, and it lacks 0001_.*first"):
        handler.provide_schema()
    apply_migrations(database, load_migrations(MIGRATIONS))
    with pytest.raises(standby.MigrationError, match="the secret of its users has no value"):
        handler.provide_schema()
    region.set(APP)
    with pytest.raises(standby.MigrationError, match="does not let its user in: Access denied"):
        handler.provide_schema()


def test_a_secret_of_an_older_release_fails_the_release_with_the_reason(
    database: Connection[Cursor],
    address: Address,
    region: Secrets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release_elsewhere(database, address, region)

    def fetch(arn: str, *version: str) -> Credentials | None:
        if ARCHIVE in version:
            raise SecretUnavailable
        return ADMIN if arn == MASTER_SECRET_ARN else region.fetch()

    monkeypatch.setattr(handler, "fetch_credentials", fetch)
    with pytest.raises(standby.MigrationError, match="is not that of this release"):
        handler.provide_schema()


def test_without_the_master_password_the_standby_is_unknown(
    region: Secrets, master: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    functions = iter([ADMIN, None])
    monkeypatch.setattr(handler, "fetch_credentials", lambda _arn, *_stage: next(functions))
    with pytest.raises(SecretUnavailable):
        handler.provide_schema()


def test_a_version_that_reads_passes_its_check_where_another_region_writes(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_WRITER_ENDPOINT", "inactive.invalid")
    assert list(check({})["problems"]) == ["ready.json"]
    monkeypatch.setenv("DATABASE_ROLE", STANDBY)
    assert check({})["passed"] is True


def test_a_version_that_cannot_read_either_stops_the_release(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_ROLE", STANDBY)
    monkeypatch.setenv("DATABASE_PORT", "1")
    cloud.handler = lambda event: api.handler(event, context(remaining_seconds=2))
    assert list(check({})["problems"]) == ["list_trades.json"]
