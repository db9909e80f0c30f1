"""Which deployed services use the published values, and how a plan affects them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import boto3

from shared.cli.aws import answering
from shared.naming import PLATFORM

# The values that stacks were released with, by SSM parameter and stack.
Consumption = Mapping[str, Mapping[str, str]]


def consumption(region: str, environment: str) -> Consumption:
    """The CloudFormation stacks that use each of the environment's published values.

    All stacks count, whatever their name, and so do values of older versions of the contract.

    Raises:
        UserError: AWS does not answer.
    """
    published = f"/{PLATFORM}/{environment}/"
    found: dict[str, dict[str, str]] = defaultdict(dict)
    with answering(region):
        pages = boto3.client("cloudformation", region_name=region).get_paginator("describe_stacks")
        for stack in (stack for page in pages.paginate() for stack in page["Stacks"]):
            for parameter in stack.get("Parameters", []):
                name = parameter.get("ParameterValue", "")
                if name.startswith(published):
                    found[name][stack["StackName"]] = parameter.get("ResolvedValue", "")
    return found


def consumption_changes(plan: Mapping[str, Any], consumed: Consumption) -> Iterator[str]:
    """The published values that a plan's JSON changes or removes under deployed services.

    A service keeps the values that it was released with until its next release.
    """
    for resource in plan.get("resource_changes", []):
        before, after = resource["change"]["before"] or {}, resource["change"]["after"] or {}
        name = before.get("name", "")
        if resource["type"] != "aws_ssm_parameter" or name not in consumed:
            continue
        if after.get("name") != name:
            yield f"{name} goes away; released with it: {', '.join(consumed[name])}"
            continue
        # A value that only the apply will know is missing here.
        value = after.get("value")
        stacks = [stack for stack, released in consumed[name].items() if released != value]
        if value != before["value"] and stacks:
            who = ", ".join(stacks)
            yield f"{name} changes; until redeployed, these keep the old value: {who}"
