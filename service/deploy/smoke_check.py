"""Runs the smoke check of a release that CodeDeploy does not check."""

import json

import boto3

from service.deploy.target import Copy
from shared.cli.aws import answering
from shared.cli.errors import UserError
from shared.contract.loader import load_contract
from shared.naming import PREVIEW_MARK


def check_release(copy: Copy) -> None:
    """Do nothing if the deployed version passes its smoke check.

    Raises:
        UserError: it does not pass; callers reach it already. Or AWS does not answer.
    """
    environment = copy.environment + (PREVIEW_MARK + copy.stage if copy.stage else "")
    name = load_contract().name("smoke_check", environment=environment)
    with answering(copy.region):
        client = boto3.client("lambda", region_name=copy.region)
        answer = client.invoke(FunctionName=name, Payload=b"{}")
        said = answer["Payload"].read().decode()
    if "FunctionError" in answer or not json.loads(said)["passed"]:
        raise UserError(
            f"{copy.stack}: the version that callers reach now does not pass its smoke check: "
            f"{said}; release one that does, or run `make rollback-service`"
        )
