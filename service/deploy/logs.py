"""Shows what a deployed function or the API has logged: `make logs`."""

import os
import re
import sys
from collections.abc import Mapping

from service.deploy.sam import run_sam
from service.deploy.target import Target
from shared.cli.errors import UserError, exit_code

# What `FUNCTION` names instead of a function to get the API's access log.
API = "api"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9=_-]{8,64}")


def sam_arguments(variables: Mapping[str, str]) -> list[str]:
    """The arguments of `sam logs` for what the variables ask for.

    `FUNCTION` is a function's name in the template (TradeFunction by default) or `api`, `SINCE` an
    age such as `10m`, `REQUEST_ID` the id of one request, and `FOLLOW=1` waits for new lines.
    `sam logs` filters as CloudWatch does:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html

    Raises:
        UserError: a variable has a value that cannot be used; the text says which ones can.
    """
    copies = Target.from_environment(variables).copies
    if len(copies) > 1:
        raise UserError("REGIONS: logs are shown for one region; name one, as in us-east-1")
    (copy,) = copies
    function = variables.get("FUNCTION") or "TradeFunction"
    source = (
        f"--cw-log-group=/aws/apigateway/{copy.stack}" if function == API else f"--name={function}"
    )
    arguments = ["logs", f"--stack-name={copy.stack}", f"--region={copy.region}", source]
    arguments.append(f"--start-time={_ago(variables.get('SINCE') or '10m')}")
    if request := variables.get("REQUEST_ID"):
        if not _REQUEST_ID.fullmatch(request):
            raise UserError(f"REQUEST_ID {request!r}: use the id as an answer or a log line has it")
        arguments.append(f'--filter="{request}"')
    if variables.get("FOLLOW") == "1":
        arguments.append("--tail")
    return arguments


def _ago(age: str) -> str:
    found = re.fullmatch(r"(\d{1,4})([smhd])", age)
    if not found:
        raise UserError(f"SINCE {age!r}: use a number with s, m, h or d, as in 10m")
    return f"{found[1]} {_UNITS[found[2]]} ago"


def main() -> None:
    """Print the log lines; with `FOLLOW=1` until Ctrl-C.

    Raises:
        UserError: a variable has a value that cannot be used, or SAM failed and has said why.
    """
    try:
        run_sam(*sam_arguments(os.environ))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(exit_code(main))
