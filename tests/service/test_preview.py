"""Previews' data is separate from each other's and the environment's, and deleted with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

from infra.config.options import DatabaseConfig
from local.database_server import MySQLServer
from migration import handler as migration_handler
from migration.preview import NotDeleted, delete_objects
from migration.runner import Migration
from shared.cli.errors import UserError
from shared.naming import check_service_stage
from tests.service.conftest import ADMIN, APP_USER, MASTER_SECRET_ARN, MIGRATIONS, Secrets, context
from tests.service.conftest import rows as query
from tests.support.emulator import Emulator
from trading.database import connect
from trading.settings import Address, Preview, load_preview, load_settings

BUCKET = "preview-data"
BOOK = (
    "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, caller, principal) "
    f"VALUES ('TRADE-{'1' * 26}', NOW(6), 'SUCCESS', %s, 'BUY', 1, '', '')"
)


@pytest.fixture
def s3(emulator: Emulator) -> Iterator[Any]:
    """A bucket that keeps versions, as the data bucket does."""
    client = emulator.client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield client
    for key, version in versions(client):
        client.delete_object(Bucket=BUCKET, Key=key, VersionId=version)
    client.delete_bucket(Bucket=BUCKET)


def versions(s3: Any) -> list[tuple[str, str]]:
    """Key and version of everything in the bucket, delete markers included."""
    found = s3.list_object_versions(Bucket=BUCKET)
    return [
        (each["Key"], each["VersionId"])
        for each in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]
    ]


class Stages:
    """The migration functions of the stages of one environment, and what CloudFormation is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, s3: Any, address: Address) -> None:
        self.secrets: dict[str, Secrets] = {}
        self.answers: list[tuple[str, str]] = []
        self._monkeypatch = monkeypatch
        self._s3 = s3
        self._address = address

    def request(self, kind: str, stage: str) -> tuple[str, str]:
        """Send a request of CloudFormation; gives its answer, status and reason."""
        clients = {"secretsmanager": self.secrets.setdefault(stage, Secrets()), "s3": self._s3}
        self._monkeypatch.setattr(migration_handler, "boto3", SimpleNamespace(client=clients.get))
        self._monkeypatch.setattr(migration_handler, "_answer", self._answer)
        self._monkeypatch.setenv("SERVICE_STAGE", stage)
        migration_handler.handler({"RequestType": kind}, context())
        return self.answers[-1]

    def deploy(self, stage: str) -> Connection[Cursor]:
        """Deploy a stage, or the environment's own service; gives a connection of its user."""
        assert self.request("Create", stage) == ("SUCCESS", "")
        credentials = self.secrets[stage].fetch()
        assert credentials is not None
        return connect(load_settings().writer, credentials)

    def _answer(self, _event: Any, status: str, reason: str, _role: str) -> None:
        self.answers.append((status, reason))


@pytest.fixture
def stages(
    server: MySQLServer,
    database: Connection[Cursor],
    address: Address,
    service_variables: None,
    s3: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stages]:
    monkeypatch.setenv("DATA_BUCKET_NAME", BUCKET)
    monkeypatch.setattr(migration_handler, "_MIGRATIONS", MIGRATIONS)
    monkeypatch.setattr(
        migration_handler, "fetch_credentials", lambda arn, _stage: {MASTER_SECRET_ARN: ADMIN}[arn]
    )
    stages = Stages(monkeypatch, s3, address)
    yield stages
    for stage in filter(None, stages.secrets):
        server.execute(f"DROP DATABASE IF EXISTS `preview-{stage}`")
        for user in ("preview", "archive", "migrate"):
            server.execute(f"DROP USER IF EXISTS '{user}-{stage}'@'%'")


def users(database: Connection[Cursor]) -> set[str]:
    return {name for (name,) in query(database, "SELECT user FROM mysql.user")}


def schemas(database: Connection[Cursor]) -> set[str]:
    return {name for (name,) in query(database, "SHOW DATABASES")}


def test_each_users_rows_are_seen_by_nobody_else(stages: Stages) -> None:
    schemas = {"": "trading", "pr-4": "preview-pr-4", "pr-42": "preview-pr-42"}
    connections = {stage: stages.deploy(stage) for stage in schemas}
    for stage, connection in connections.items():
        with connection.cursor() as cursor:
            cursor.execute(BOOK, (stage,))
    for stage, connection in connections.items():
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT symbol FROM trades")
            assert cursor.fetchall() == ((stage,),)
            cursor.execute("SHOW DATABASES")
            # MySQL names the last one to everybody, and shows nothing in it without a right.
            seen = {name for (name,) in cursor.fetchall()} - {"performance_schema"}
            assert seen == {"information_schema", schemas[stage]}
            for other in set(schemas) - {stage}:
                for statement in (
                    "SELECT * FROM `{}`.trades",
                    "INSERT INTO `{}`.trades SELECT * FROM trades",
                    "UPDATE `{}`.trades SET status = 'VOID'",
                    "DROP DATABASE `{}`",
                ):
                    with pytest.raises(MySQLError, match="denied"):
                        cursor.execute(statement.format(schemas[other]))


def test_a_second_deploy_keeps_a_previews_rows_and_password(
    stages: Stages, database: Connection[Cursor]
) -> None:
    with stages.deploy("pr-42") as connection, connection.cursor() as cursor:
        cursor.execute(BOOK, ("AAPL",))
    before = stages.secrets["pr-42"].fetch()
    stages.deploy("pr-42").close()
    assert stages.secrets["pr-42"].fetch() == before
    assert query(database, "SELECT symbol FROM `preview-pr-42`.trades") == [("AAPL",)]


def test_a_branchs_migration_cannot_touch_the_environments_tables(
    stages: Stages, database: Connection[Cursor], monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.deploy("").close()
    # As a run leaves it that was killed.
    database.query("CREATE USER 'migrate-pr-42'@'%'")
    for statement in ("DROP TABLE trading.trades", "GRANT ALL ON trading.* TO trade_app@'%'"):
        mistake = (Migration("0001_mistake", statement),)
        monkeypatch.setattr(migration_handler, "load_migrations", lambda _folder, m=mistake: m)
        status, reason = stages.request("Create", "pr-42")
        assert status == "FAILED"
        assert re.search(r"0001_mistake failed and was not applied.*denied", reason)
    assert query(database, "SELECT COUNT(*) FROM trading.trades") == [(0,)]
    ((created,),) = query(database, "SHOW CREATE USER 'migrate-pr-42'@'%'")
    assert "ACCOUNT LOCK" in created


def test_a_deleted_preview_takes_all_of_its_data_along_and_nothing_else(
    stages: Stages, database: Connection[Cursor], s3: Any
) -> None:
    for stage in ("", "pr-4", "pr-42"):
        stages.deploy(stage).close()
    kept = ("trades/dt=2026-01-31/trades.ndjson.gz", "previews/pr-42/trades/dt=2026-01-31/trades")
    for key in (*kept, "previews/pr-4/one", "previews/pr-4/one", "previews/pr-4/two"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
    s3.delete_object(Bucket=BUCKET, Key="previews/pr-4/two")
    before = schemas(database), users(database)

    # Twice, as when CloudFormation repeats itself.
    for _ in range(2):
        assert stages.request("Delete", "pr-4") == ("SUCCESS", "")

    assert schemas(database) == before[0] - {"preview-pr-4"}
    assert users(database) == before[1] - {"preview-pr-4", "archive-pr-4", "migrate-pr-4"}
    assert {key for key, _ in versions(s3)} == set(kept)
    assert query(database, "SELECT COUNT(*) FROM `preview-pr-42`.trades") == [(0,)]


def test_the_environments_own_data_stays_when_its_service_is_deleted(
    stages: Stages, database: Connection[Cursor], s3: Any
) -> None:
    stages.deploy("").close()
    s3.put_object(Bucket=BUCKET, Key="trades/dt=2026-01-31/trades.ndjson.gz", Body=b"")
    before = schemas(database), users(database), versions(s3)
    assert stages.request("Delete", "") == ("SUCCESS", "")
    assert (schemas(database), users(database), versions(s3)) == before


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("DATABASE_PORT", "1", "Can't connect"),
        ("DATA_BUCKET_NAME", "nowhere", "NoSuchBucket"),
    ],
)
def test_a_preview_whose_data_cannot_be_deleted_stays_until_it_can(
    stages: Stages, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    stages.deploy("pr-42").close()
    with monkeypatch.context() as patch:
        patch.setenv(variable, value)
        status, told = stages.request("Delete", "pr-42")
    assert status == "FAILED"
    assert reason in told
    assert stages.request("Delete", "pr-42") == ("SUCCESS", "")


def test_an_object_that_s3_does_not_delete_is_an_error(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="previews/pr-42/held", Body=b"")

    def refuse(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Errors"] = [{"Key": "previews/pr-42/held", "Message": "Access Denied"}]

    s3.meta.events.register("after-call.s3.DeleteObjects", refuse)
    with pytest.raises(NotDeleted, match="previews/pr-42/held: Access Denied"):
        delete_objects(s3, BUCKET, Preview("pr-42"))


OPTIONS = TypeAdapter(DatabaseConfig).json_schema()
STAGES = st.from_regex(r"[a-z0-9-]{1,25}", fullmatch=True)


@given(STAGES)
def test_no_preview_can_have_a_name_of_the_environments(stage: str) -> None:
    try:
        preview = Preview(check_service_stage(stage))
    except UserError:
        return
    own_schema, own_user = (
        OPTIONS["properties"][name]["pattern"] for name in ("name", "master_username")
    )
    assert not re.fullmatch(own_schema, preview.schema)
    for user in (preview.user, preview.archive_user, preview.owner):
        assert not re.fullmatch(own_user, user)
        assert user != APP_USER
        assert len(user) <= 32
    # GET_LOCK takes 64 characters, and the name of a lock is the schema's and `.migrations`.
    assert len(preview.schema) <= 64 - len(".migrations")
    assert preview.folder.startswith("previews/")
    assert preview.folder.count("/") == 2


@given(STAGES, STAGES)
def test_no_previews_data_is_below_that_of_another(one: str, other: str) -> None:
    names = [Preview(stage) for stage in (one, other)]
    if one != other:
        assert not names[0].folder.startswith(names[1].folder)
        assert not {names[0].schema, names[0].owner} & {names[1].schema, names[1].owner}


def test_without_a_stage_there_is_nothing_that_could_be_deleted() -> None:
    assert load_preview({}) is None
    assert load_preview({"SERVICE_STAGE": ""}) is None
    with pytest.raises(ValueError, match="a preview needs a stage"):
        Preview("")
