"""The IAM actions of requests to Lambda.

AWS: a request is checked for the action of its operation, such as `lambda:UpdateAlias`.
ministack: guesses the action by the path: any request about an alias, for instance, is checked for
`lambda:ListAliases`.
Here: as on AWS, by the operation that Lambda's model has for the request. Remove once ministack
knows the operations.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions

from local.emulator.requests import Request, read_call

# Operations whose action has another name.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html
_NAMES = dict.fromkeys(("Invoke", "InvokeAsync", "InvokeWithResponseStream"), "InvokeFunction")


def install() -> None:
    """Name the action of each request."""
    guess = iam_actions.extract_iam_action

    def action(service: str, *request: Any) -> Any:
        call = read_call(Request(service, *request)) if service == "lambda" else None
        if call is None:
            return guess(service, *request)
        return f"lambda:{_NAMES.get(call.operation, call.operation)}"

    iam_actions.extract_iam_action = action
