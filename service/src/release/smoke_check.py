"""Calls a new version of the trade function before CodeDeploy sends it traffic."""

from __future__ import annotations

import json
import os
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_EVENTS = Path(os.environ.get("LAMBDA_TASK_ROOT", ".")) / "events"
# Requests that reach the database and change nothing. A standby region has only readers.
_CHECKS = {
    "writer": ("ready.json", "post_trade_validate_only.json"),
    "standby": ("list_trades.json", "post_trade_validate_only.json"),
}
# Longer than the trade function may run. A check does not retry.
_CONFIG = Config(read_timeout=35, retries={"total_max_attempts": 1})

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Check the version. If CodeDeploy asked, tell it: `Failed` stops the release.

    https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
    """
    client = boto3.client("lambda", config=_CONFIG)
    checks = _CHECKS[os.environ["DATABASE_ROLE"]]
    problems = {name: problem for name in checks if (problem := _problem(client, name))}
    if problems:
        logger.error("the new version does not work", problems=problems)
    if "DeploymentId" in event:
        boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
            deploymentId=event["DeploymentId"],
            lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
            status="Failed" if problems else "Succeeded",
        )
    return {"passed": not problems, "problems": problems}


def _problem(client: LambdaClient, check: str) -> str:
    """What is wrong with the answer to a check; empty if it passed."""
    try:
        answer = client.invoke(
            FunctionName=os.environ["CHECKED_VERSION_ARN"],
            Payload=(_EVENTS / check).read_bytes(),
        )
    except (BotoCoreError, ClientError) as error:
        return str(error)
    document = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        return f"the function failed: {document.get('errorMessage')}"
    if document["statusCode"] != HTTPStatus.OK:
        return f"{document['statusCode']}: {document['body']}"
    return ""
