"""Why a release was refused: what CloudFormation and the functions that decide say."""

import json
from collections.abc import Iterator
from datetime import datetime

import boto3

from shared.cli.aws import answering, find_stack

# The functions that decide about a release; their log groups are called after them.
_DECIDING = ("migration", "smoke-check")
_LINES = 3
# CloudFormation says this of what it stopped because something else had failed.
_CANCELLED = "cancelled"


def refusal_reasons(stack: str, region: str, since: datetime) -> list[str]:
    """What went wrong in a stack since then, the first cause first; a line for each.

    A stack whose creation failed is gone together with its logs: then there is none.

    Raises:
        UserError: AWS does not answer.
    """
    if find_stack(stack, region) is None:
        return []
    with answering(region):
        return [*_failed_resources(stack, region, since), *_errors(stack, region, since)]


def _failed_resources(stack: str, region: str, since: datetime) -> Iterator[str]:
    client = boto3.client("cloudformation", region_name=region)
    pages = client.get_paginator("describe_stack_events").paginate(StackName=stack)
    events = [event for page in pages for event in page["StackEvents"]]
    for event in reversed(events):
        reason = event.get("ResourceStatusReason", "")
        failed = event.get("ResourceStatus", "").endswith("_FAILED")
        if failed and event["Timestamp"] >= since and _CANCELLED not in reason:
            yield f"{event['LogicalResourceId']}: {reason}"


def _errors(stack: str, region: str, since: datetime) -> Iterator[str]:
    logs = boto3.client("logs", region_name=region)
    for function in _DECIDING:
        try:
            found = logs.filter_log_events(
                logGroupName=f"/aws/lambda/{stack}/{function}",
                startTime=int(since.timestamp() * 1000),
                filterPattern="ERROR",
            )
        except logs.exceptions.ResourceNotFoundException:
            continue
        for event in found["events"][-_LINES:]:
            yield f"{function}: {_shown(event['message'])}"


def _shown(line: str) -> str:
    """A log line without what every line has."""
    try:
        document = json.loads(line)
    except ValueError:
        return line.strip()
    kept = ("message", "problems", "exception_name", "exception")
    said = [
        text if isinstance(text, str) else json.dumps(text)
        for key in kept
        if (text := document.get(key))
    ]
    return ": ".join(said) or line.strip()
