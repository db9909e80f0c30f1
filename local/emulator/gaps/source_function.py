"""The function that sends a request.

AWS: requests from a function's code have the condition key `lambda:SourceFunctionArn`.
https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
ministack: does not set the key.
Here: it is set. Remove once ministack sets it.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_evaluator, lambda_runtime
from ministack.services import lambda_svc, sts

_SESSION_KEY = "SourceFunctionArn"


def install() -> None:
    """Store the function in its credentials' session, and evaluate its requests with it."""
    credentials, enforce = lambda_runtime.execution_credentials, iam_evaluator.enforce

    def execution_credentials(config: dict[str, Any]) -> dict[str, str]:
        found: dict[str, str] = credentials(config)
        session = sts._sessions.get(found["AWS_ACCESS_KEY_ID"])
        if session is not None:
            session[_SESSION_KEY] = config["FunctionArn"]
        return found

    def enforce_with_function(
        access_key_id: str, *arguments: Any, service_context: Any = None, **more: Any
    ) -> Any:
        function = (sts._sessions.get(access_key_id) or {}).get(_SESSION_KEY)
        context = {"lambda:SourceFunctionArn": function} if function else {}
        return enforce(
            access_key_id,
            *arguments,
            service_context={**context, **(service_context or {})},
            **more,
        )

    for module in (lambda_runtime, lambda_svc):
        module.execution_credentials = execution_credentials
    iam_evaluator.enforce = enforce_with_function
