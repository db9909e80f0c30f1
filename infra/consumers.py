"""Which deployed services consume what is published, and what a plan means to them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import UserError
from shared.naming import PLATFORM


def consumption(region: str, environment: str) -> dict[str, list[str]]:
    """The CloudFormation stacks that take each of the environment's published values.

    Whatever they are called: a preview of a branch counts, too. The key is the name of the SSM
    parameter, of whatever version of the contract, also one that infra/ has left since.

    Raises:
        UserError: AWS does not answer.
    """
    published = f"/{PLATFORM}/{environment}/"
    found = defaultdict(list)
    try:
        pages = boto3.client("cloudformation", region_name=region).get_paginator("describe_stacks")
        for stack in (stack for page in pages.paginate() for stack in page["Stacks"]):
            for parameter in stack.get("Parameters", []):
                name = parameter.get("ParameterValue", "")
                if name.startswith(published):
                    found[name].append(stack["StackName"])
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"AWS does not say what uses the data platform: {error}") from None
    return dict(found)


def consumption_changes(
    plan: Mapping[str, Any], consumed: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """What a plan, as `terraform show -json` has it, changes under deployed services.

    A service keeps the values that it was released with until it is released again.
    """
    for resource in plan.get("resource_changes", []):
        before, after = resource["change"]["before"] or {}, resource["change"]["after"] or {}
        name = before.get("name", "")
        if resource["type"] != "aws_ssm_parameter" or name not in consumed:
            continue
        stacks = ", ".join(consumed[name])
        if after.get("name") != name:
            yield f"{name} goes away, which {stacks} was released with"
        # A value that only the apply will know is absent.
        elif after.get("value") != before["value"]:
            yield f"{name} changes: {stacks} keeps the old value until it is redeployed"
