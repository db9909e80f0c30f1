"""The CloudFormation custom resource that runs the migrations in each deploy."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from pathlib import Path
from typing import Any

import boto3
import urllib3
from aws_lambda_powertools.utilities.typing import LambdaContext
from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

from migration.app_user import ARCHIVE_USER, ensure_app_user
from migration.preview import delete_objects, drop_schema, schema_owner
from migration.runner import apply_migrations, load_migrations
from migration.standby import STANDBY, WRITER, await_schema, takes_no_writes
from trading.database import connect
from trading.secret import (
    ARCHIVE,
    CURRENT,
    Credentials,
    CredentialStore,
    SecretUnavailable,
    fetch_credentials,
)
from trading.settings import Address, Preview, Settings, load_preview, load_settings
from trading.telemetry import heartbeat, logger

_MIGRATIONS = Path(os.environ.get("LAMBDA_TASK_ROOT", ".")) / "migrations"
# Changing a large table takes long. The function's own limit is 300 s.
_STATEMENT_SECONDS = 240
# A paused database accepts the connection after up to half a minute:
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
_CONNECT_SECONDS = 60
_ANSWER_TIMEOUT_SECONDS = 30


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer one request of CloudFormation.

    A failure makes the deploy roll back. While a preview is deleted, a failure keeps its stack
    until its data can be deleted.
    """
    status, reason, role = "SUCCESS", "", WRITER
    try:
        if event["RequestType"] != "Delete":
            role = provide_schema()
            # The archive of a new service has not run yet. Its alarm counts from here.
            heartbeat()
        # The environment's data belongs to the platform: it stays when the service is deleted.
        elif preview := load_preview():
            remove(preview)
    except Exception as error:
        # CloudFormation must hear of every failure, or the deploy hangs for an hour.
        logger.exception("migration failed")
        status, reason = "FAILED", f"{type(error).__name__}: {error}"
    _answer(event, status, reason, role)


def provide_schema() -> str:
    """Migrate or, if another region writes, wait for its migrations.

    Returns:
        `writer` or `standby`: the role of this region's database.
    """
    try:
        migrate()
    except MySQLError as error:
        if not takes_no_writes(error):
            raise
    else:
        return WRITER
    settings = load_settings()
    master = fetch_credentials(os.environ["DATABASE_MASTER_SECRET_ARN"])
    if master is None:
        raise SecretUnavailable
    await_schema(
        settings.reader,
        master,
        [
            lambda: fetch_credentials(settings.app_secret_arn),
            lambda: fetch_credentials(settings.app_secret_arn, CURRENT, ARCHIVE),
        ],
        load_migrations(_MIGRATIONS),
    )
    logger.info("schema was replicated from the region that writes")
    return STANDBY


def migrate() -> None:
    """Bring the schema and the users up to date."""
    settings = load_settings()
    migrations = load_migrations(_MIGRATIONS)
    with _connect_as_master(settings) as master:
        if settings.preview:
            with (
                schema_owner(master, settings.preview) as owner,
                _connect(settings.writer, owner) as connection,
            ):
                applied = apply_migrations(connection, migrations)
        master.select_db(settings.writer.database)
        if not settings.preview:
            applied = apply_migrations(master, migrations)
        ensure_app_user(
            master,
            boto3.client("secretsmanager"),
            settings.app_secret_arn,
            log_in=functools.partial(connect, settings.writer),
            username=settings.preview.user if settings.preview else os.environ["DATABASE_APP_USER"],
            archive_username=settings.preview.archive_user if settings.preview else ARCHIVE_USER,
        )
    logger.info("schema is up to date", applied=applied)


def remove(preview: Preview) -> None:
    """Delete all data of a preview."""
    with _connect_as_master(load_settings()) as connection:
        drop_schema(connection, preview)
    delete_objects(boto3.client("s3"), os.environ["DATA_BUCKET_NAME"], preview)
    logger.info("preview is removed", stage=preview.stage)


def _connect_as_master(settings: Settings) -> Connection[Cursor]:
    master = CredentialStore(
        lambda version_stage: fetch_credentials(
            os.environ["DATABASE_MASTER_SECRET_ARN"], version_stage
        )
    )
    # A preview's schema may not exist yet, or no longer.
    return _connect(dataclasses.replace(settings.writer, database=""), master.get())


def _connect(address: Address, credentials: Credentials) -> Connection[Cursor]:
    return connect(
        address,
        credentials,
        connect_seconds=_CONNECT_SECONDS,
        statement_seconds=_STATEMENT_SECONDS,
    )


def _answer(event: dict[str, Any], status: str, reason: str, role: str) -> None:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
    document = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": event.get("PhysicalResourceId", "database-migration"),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": {"Role": role},
    }
    # The runtime brings urllib3 as boto3's: version 1 has no `urllib3.request`.
    urllib3.PoolManager().request(
        "PUT",
        event["ResponseURL"],
        body=json.dumps(document),
        # The URL is signed for an empty content type.
        headers={"Content-Type": ""},
        timeout=_ANSWER_TIMEOUT_SECONDS,
        retries=3,
    )
    logger.info("answered CloudFormation", status=status)
