"""Constraints on the parameters of calls.

AWS: refuses a parameter that its service model does not allow (a missing member, a value that is
none of an enumeration, too long, out of range, or not as its pattern) before it does anything. Some
constraints are in its documentation alone.
https://smithy.io/2.0/spec/constraint-traits.html
ministack: takes most of them.
Here: refused as on AWS, by the judges of the certificate: botocore's models and the rule book.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from ministack import app
from ministack.core import iam_actions

from infra.gate.models import REQUIRED, UNKNOWN, Refusal, service_model
from infra.gate.parameters import refused
from local.emulator.requests import Call, Request, read_call

Handler = Callable[..., Awaitable[Any]]
# A service refuses parameters with the first of these errors that its model has, …
_MODELED = (
    "ValidationException",
    "InvalidParameterException",
    "InvalidParameterValueException",
    "BadRequestException",
)
# … or with the error of its protocol, or with one that is its own.
_OF_PROTOCOLS = {"ec2": "InvalidParameterValue", "query": "ValidationError"}
_OWN: Mapping[str, str] = {
    "lambda": "ValidationException",
    "rds": "InvalidParameterValue",
    "s3": "InvalidArgument",
    "sns": "InvalidParameter",
}


def install() -> None:
    """Judge each call before its service gets it."""
    for service, handler in app.SERVICE_HANDLERS.items():
        app.SERVICE_HANDLERS[service] = _judging(service, handler)


def _judging(service: str, handler: Handler) -> Handler:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        call = read_call(Request(service, method, path, headers, body, query))
        if call and (found := _refused(call)):
            return _refusal(service, call, found, headers)
        return await handler(method, path, headers, body, query)

    return handle


def _refused(call: Call) -> list[Refusal]:
    found = refused(call.service, call.operation, call.parameters)
    # A client may be newer than the models here, and AWS ignores what it does not know.
    return [(member, reason) for member, reason in found if reason != UNKNOWN]


def _refusal(service: str, call: Call, found: list[Refusal], headers: dict[str, str]) -> Any:
    """The answer of AWS, as the service's protocol has it."""
    plural = "s" if len(found) > 1 else ""
    reasons = "; ".join(
        f"Value at '{member}' failed to satisfy constraint: {reason}" for member, reason in found
    )
    _status, answer_headers, answer = iam_actions.access_denied_response(
        service,
        "",
        "",
        str(uuid4()),
        error_code=_code(call, found),
        message=f"{len(found)} validation error{plural} detected: {reasons}",
        headers=headers,
    )
    return HTTPStatus.BAD_REQUEST.value, answer_headers, answer


def _code(call: Call, found: list[Refusal]) -> str:
    """The error code with which the service refuses parameters."""
    model = service_model(call.service)
    if model.protocol == "ec2" and all(reason == REQUIRED for _, reason in found):
        return "MissingParameter"
    if call.service in _OWN:
        return _OWN[call.service]
    modeled = {shape.name for shape in model.operation_model(call.operation).error_shapes}
    return next(
        (name for name in _MODELED if name in modeled),
        _OF_PROTOCOLS.get(model.protocol, "ValidationException"),
    )
