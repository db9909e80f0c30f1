"""Records each call to the emulated AWS, for the certificate to judge.

One line of JSON for each: who calls with which tool, the service and operation, the parameters, the
IAM action with its resource and condition keys, and the answer's status. Passwords are left out.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id
from ministack.core.router import extract_access_key_id, extract_region
from ministack.services.tagging import resource_tags

from local.emulator.requests import Request, read_call

Handler = Callable[..., Awaitable[Any]]
_TOOLS = {"terraform": "Terraform", "aws-sam-cli": "SAM CLI", "botocore": "boto3"}
_writing = threading.Lock()


def install() -> None:
    """Record the calls in the file that RECORDED_CALLS names, if it names one."""
    if file := os.environ.get("RECORDED_CALLS"):
        for service, handler in app.SERVICE_HANDLERS.items():
            app.SERVICE_HANDLERS[service] = _recording(service, handler, Path(file))


def _recording(service: str, handler: Handler, file: Path) -> Handler:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        request = Request(service, method, path, headers, body, query)
        # Before: a deletion leaves nothing to read tags from.
        record = _record(request)
        response = await handler(method, path, headers, body, query)
        if record:
            line = json.dumps({**record, "status": int(response[0])}, default=str)
            with _writing, file.open("a") as out:
                out.write(f"{line}\n")
        return response

    return handle


def _record(request: Request) -> dict[str, Any] | None:
    call = read_call(request)
    if call is None:
        return None
    parameters = app._routing_params(
        request.method, request.path, request.headers, request.body, request.query
    )
    asked = (request.service, request.method, request.path, request.headers, request.body)
    # What ministack does not know has its operation's name, as nearly all actions have.
    action = iam_actions.extract_iam_action(*asked, parameters) or (
        f"{iam_actions.SERVICE_TO_IAM_NAMESPACE[request.service]}:{call.operation}"
    )
    region = extract_region(request.headers)
    resource = iam_actions.extract_resource_arn(*asked, parameters, region, get_account_id())
    agent = request.headers.get("user-agent", "")
    return {
        "caller": _caller(request),
        "tool": next((name for word, name in _TOOLS.items() if word in agent.lower()), agent),
        "region": region,
        "service": call.service,
        "operation": call.operation,
        "parameters": call.shown(),
        "action": action,
        "resource": resource,
        "context": _context(request, action, resource, parameters),
    }


def _caller(request: Request) -> str:
    key = extract_access_key_id(request.headers, request.query) or ""
    principal = iam_evaluator.resolve_principal(key, get_account_id())
    return str(getattr(principal, "arn", "anonymous"))


def _context(
    request: Request, action: str, resource: str, parameters: dict[str, Any]
) -> dict[str, Any]:
    """The condition keys of the request, with those of the resource's tags."""
    found = dict(iam_actions.request_tag_context(request.service, action, request.body, parameters))
    if request.service == "s3":
        found |= iam_actions.s3_service_context(
            action, request.query, request.path, dict(request.headers)
        )
    tags = resource_tags(resource) or {}
    return found | {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
