"""Lists an environment's previews: `python -m service.deploy.previews`."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from service.deploy.connections import RESERVED_CONCURRENCY
from service.deploy.target import Target
from shared.cli.aws import answering
from shared.cli.errors import exit_code
from shared.cli.table import table
from shared.naming import service_stack_name, service_stage

_URL = "ApiGatewayUrl"
# Nothing is deployed: a first release was refused, or all of it was taken back.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html#cfn-console-view-stack-data-resources-status-codes
_NOTHING_DEPLOYED = frozenset({"REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"})


@dataclass(frozen=True)
class Preview:
    """A stack with a preview's name: of a preview, or of an attempt to release one.

    A preview is deployed, or was and could not be removed as a whole.
    """

    stage: str
    region: str
    created: datetime
    released: datetime
    status: str
    url: str

    @property
    def is_deployed(self) -> bool:
        """Whether any of it exists, besides a stack that has nothing."""
        return self.status not in _NOTHING_DEPLOYED


def find_previews(region: str, environment: str) -> list[Preview]:
    """The previews of an environment in a region and the attempts to release one, the newest last.

    Raises:
        UserError: CloudFormation does not answer.
    """
    previews = [
        Preview(
            stage=stage,
            region=region,
            created=stack["CreationTime"],
            released=stack.get("LastUpdatedTime", stack["CreationTime"]),
            status=stack["StackStatus"],
            url=next(
                (o["OutputValue"] for o in stack.get("Outputs", []) if o["OutputKey"] == _URL), ""
            ),
        )
        for stack in _stacks(region)
        if (stage := service_stage(stack["StackName"], region, environment))
    ]
    return sorted(previews, key=lambda preview: preview.created)


def reserved_beside(stack: str, region: str, environment: str) -> int:
    """The concurrency that the other copies of an environment's service have reserved together.

    Raises:
        UserError: CloudFormation does not answer.
    """
    own = service_stack_name(region, environment)
    return sum(
        int(parameter["ParameterValue"])
        for other in _stacks(region)
        if other["StackName"] != stack
        and other["StackStatus"] not in _NOTHING_DEPLOYED
        and (other["StackName"] == own or service_stage(other["StackName"], region, environment))
        for parameter in other.get("Parameters", [])
        if parameter["ParameterKey"] == RESERVED_CONCURRENCY
    )


def _stacks(region: str) -> list[Any]:
    with answering(region, "CloudFormation"):
        cloudformation = boto3.client("cloudformation", region_name=region)
        pages = cloudformation.get_paginator("describe_stacks").paginate()
        return [stack for page in pages for stack in page["Stacks"]]


def listing(found: Sequence[Preview], now: datetime) -> str:
    """The previews in columns, and a line for each attempt that deployed nothing."""
    previews = [each for each in found if each.is_deployed]
    attempts = [
        f"{each.stage} in {each.region}: nothing is deployed; a release failed and left a stack "
        f"({each.status}): release it again, or run "
        f"`make destroy-service REGIONS={each.region} SERVICE_STAGE={each.stage}`"
        for each in found
        if not each.is_deployed
    ]
    return "\n".join([*([_table(previews, now)] if previews else []), *attempts])


def _table(previews: Sequence[Preview], now: datetime) -> str:
    heading = ("STAGE", "REGION", "AGE", "LAST RELEASE", "STATUS", "URL")
    rows = [
        (
            preview.stage,
            preview.region,
            duration(now - preview.created),
            f"{duration(now - preview.released)} ago",
            preview.status,
            preview.url or "none",
        )
        for preview in previews
    ]
    return table([heading, *rows])


def duration(time: timedelta) -> str:
    """A duration in its largest whole unit, such as `3 d`, `5 h` or `12 min`."""
    minutes = int(time.total_seconds()) // 60
    for unit, length in (("d", 24 * 60), ("h", 60)):
        if minutes >= length:
            return f"{minutes // length} {unit}"
    return f"{minutes} min"


def main(variables: Mapping[str, str] = os.environ) -> None:
    """Print the previews of the environment's regions: a table, or with `JSON=1` a JSON document.

    Raises:
        UserError: a variable has a value that cannot be used, or CloudFormation does not answer.
    """
    target = Target.from_environment(variables)
    previews = [
        preview
        for region in target.regions
        for preview in find_previews(region, target.environment)
    ]
    if variables.get("JSON") == "1":
        print(json.dumps([asdict(p) for p in previews], indent=2, default=datetime.isoformat))
    elif previews:
        print(listing(previews, datetime.now(UTC)))
    else:
        print(f"{target.environment} has no previews in {', '.join(target.regions)}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
