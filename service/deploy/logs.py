"""Shows what a deployed function or the API has logged: `make logs`."""

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import boto3

from service.deploy.deployed import existing_stack
from service.deploy.target import Copy, Target
from shared.cli.aws import answering
from shared.cli.errors import UserError, exit_code

# What `FUNCTION` names instead of a function to get the API's access log.
API = "api"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9=_-]{8,64}")
_PAUSE_SECONDS = 1
# How much later than lines of a later time a line may arrive, in milliseconds.
_LATE = 10_000


@dataclass(frozen=True)
class Wanted:
    """The log lines that a command asks for.

    `function` is a function's name in the template, or `api`. `request` is the id of one request,
    or empty. With `follow`, later lines are wanted, too.
    """

    copy: Copy
    function: str
    since: timedelta
    request: str
    follow: bool

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> "Wanted":
        """Read `FUNCTION`, `SINCE`, `REQUEST_ID`, `FOLLOW`, and which copy of the service it is.

        Raises:
            UserError: a variable has a value that cannot be used; the text says which ones can.
        """
        copies = Target.from_environment(variables).copies
        if len(copies) > 1:
            raise UserError("REGIONS: logs are shown for one region; name one, as in us-east-1")
        request = variables.get("REQUEST_ID") or ""
        if request and not _REQUEST_ID.fullmatch(request):
            raise UserError(f"REQUEST_ID {request!r}: use the id as an answer or a log line has it")
        return cls(
            copy=copies[0],
            function=variables.get("FUNCTION") or "TradeFunction",
            since=_age(variables.get("SINCE") or "10m"),
            request=request,
            follow=variables.get("FOLLOW") == "1",
        )


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,4})([smhd])", text)
    if not found:
        raise UserError(f"SINCE {text!r}: use a number with s, m, h or d, as in 10m")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def log_group(copy: Copy, function: str) -> str:
    """The log group of a function of the deployed service, or of its API.

    Raises:
        UserError: the service is not deployed or has no such function, or AWS does not answer.
    """
    stack = existing_stack(copy)
    if function == API:
        return f"/aws/apigateway/{stack.name}/access"
    functions = {
        name: physical
        for name, physical in stack.resources(copy.region).items()
        if name.endswith("Function")
    }
    if function not in functions:
        raise UserError(
            f"FUNCTION {function!r}: use {API} or one of {', '.join(sorted(functions))}"
        )
    with answering(copy.region, "Lambda"):
        client = boto3.client("lambda", region_name=copy.region)
        found = client.get_function_configuration(FunctionName=functions[function])
        return found["LoggingConfig"]["LogGroup"]


def lines(wanted: Wanted) -> Iterator[str]:
    """The wanted lines, each with its time in UTC; with `follow`, this waits for more of them.

    A request's id counts wherever it is in a line.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html

    Raises:
        UserError: the service is not deployed or has no such function, or AWS does not answer.
    """
    group = log_group(wanted.copy, wanted.function)
    client = boto3.client("logs", region_name=wanted.copy.region)
    pages = client.get_paginator("filter_log_events")
    pattern = {"filterPattern": f'"{wanted.request}"'} if wanted.request else {}
    start = _milliseconds(datetime.now(UTC) - wanted.since)
    shown: set[tuple[int, str, str]] = set()
    while True:
        with answering(wanted.copy.region, "CloudWatch Logs"):
            for page in pages.paginate(logGroupName=group, startTime=start, **pattern):
                for event in page["events"]:
                    line = (event["timestamp"], event["logStreamName"], event["message"])
                    if line not in shown:
                        shown.add(line)
                        yield f"{_time(event['timestamp'])}  {event['message'].rstrip()}"
        if not wanted.follow:
            return
        time.sleep(_PAUSE_SECONDS)
        start = max([start, *(when - _LATE for when, *_ in shown)])
        shown = {line for line in shown if line[0] >= start}


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def main() -> None:
    """Print the log lines; with `FOLLOW=1` until Ctrl-C.

    Raises:
        UserError: a variable has a value that cannot be used, the service is not deployed or has no
            such function, or AWS does not answer.
    """
    wanted = Wanted.from_environment(os.environ)
    some = False
    try:
        for line in lines(wanted):
            some = True
            print(line, flush=True)
    except KeyboardInterrupt:
        return
    if not some:
        which = f" about {wanted.request}" if wanted.request else ""
        print(
            f"{wanted.function} has logged nothing{which} in this time; SINCE=1d goes further back",
            file=sys.stderr,
        )


if __name__ == "__main__":
    sys.exit(exit_code(main))
