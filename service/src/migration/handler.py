"""The CloudFormation custom resource that runs the migrations in each deploy."""

import functools
import json
import os
from pathlib import Path
from typing import Any

import boto3
import urllib3
from aws_lambda_powertools.utilities.typing import LambdaContext

from migration.app_user import ensure_app_user
from migration.runner import apply_migrations, load_migrations
from trading.database import connect
from trading.secret import CredentialStore, fetch_credentials
from trading.settings import load_settings
from trading.telemetry import logger

_MIGRATIONS = Path(os.environ.get("LAMBDA_TASK_ROOT", ".")) / "migrations"
# A change of a large table takes its time; the function's own limit is 300 s.
_STATEMENT_SECONDS = 240
# A paused database takes the connection up to half a minute later:
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2-auto-pause.html
_CONNECT_SECONDS = 60
_ANSWER_TIMEOUT_SECONDS = 30


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Answer one request of CloudFormation; a failure fails the deploy, which then rolls back."""
    status, reason = "SUCCESS", ""
    try:
        # The data belongs to the platform: deleting the service leaves it as it is.
        if event["RequestType"] != "Delete":
            migrate()
    except Exception as error:
        # Whatever went wrong, CloudFormation must be told, or the deploy hangs for an hour.
        logger.exception("migration failed")
        status, reason = "FAILED", f"{type(error).__name__}: {error}"
    _answer(event, status, reason)


def migrate() -> None:
    """Bring the schema and the application user up to date."""
    settings = load_settings()
    master = CredentialStore(
        lambda stage: fetch_credentials(os.environ["DATABASE_MASTER_SECRET_ARN"], stage)
    )
    connection = connect(
        settings.writer,
        master.get(),
        connect_seconds=_CONNECT_SECONDS,
        statement_seconds=_STATEMENT_SECONDS,
    )
    with connection:
        applied = apply_migrations(connection, load_migrations(_MIGRATIONS))
        ensure_app_user(
            connection,
            boto3.client("secretsmanager"),
            settings.app_secret_arn,
            log_in=functools.partial(connect, settings.writer),
        )
    logger.info("schema is up to date", applied=applied)


def _answer(event: dict[str, Any], status: str, reason: str) -> None:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
    document = {
        "Status": status,
        "Reason": reason,
        "PhysicalResourceId": event.get("PhysicalResourceId", "database-migration"),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    urllib3.request(
        "PUT",
        event["ResponseURL"],
        body=json.dumps(document),
        # The URL is signed for an empty content type.
        headers={"Content-Type": ""},
        timeout=_ANSWER_TIMEOUT_SECONDS,
        retries=3,
    )
    logger.info("answered CloudFormation", status=status)
