"""Records each call to the emulated AWS, for the certificate to judge.

`calls.jsonl` has one line of JSON for each call: who calls with which tool, the service and
operation, the parameters, each check of IAM (action, resource and condition keys), the policies
that apply, and the answer's status. CloudFormation's work on a resource has a line as well. Lines
name a policy by its digest; the policy stands in a line of its own before. Passwords are left out.
"""

from __future__ import annotations

import contextvars
import hashlib
import json
import os
import re
import threading
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id, extract_region
from ministack.services.cloudformation import _stacks, custom_resource, provisioners
from ministack.services.tagging import resource_tags

from infra.gate.models import HIDDEN
from local.emulator.callers import Caller, caller_of
from local.emulator.requests import Call, Request, read_call

Handler = Callable[..., Awaitable[Any]]
Record = dict[str, Any]
_TOOLS = {"terraform": "Terraform", "aws-sam-cli": "SAM CLI", "botocore": "boto3"}

# Who sent the request. CloudFormation's work in the background inherits it.
_caller: contextvars.ContextVar[Caller] = contextvars.ContextVar("recorded_caller")
# What IAM was asked about the request so far.
_checks: contextvars.ContextVar[tuple[Record, ...]] = contextvars.ContextVar(
    "recorded_checks", default=()
)


def install() -> None:
    """Record the calls in the file that RECORDED_CALLS names, if it names one."""
    if file := os.environ.get("RECORDED_CALLS"):
        recording = Recording(Path(file))
        for service, handler in app.SERVICE_HANDLERS.items():
            app.SERVICE_HANDLERS[service] = recording.of_calls(service, handler)
        recording.of_checks()
        recording.of_resources()


class Recording:
    """Writes lines to a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writing = threading.Lock()
        self._policies: set[str] = set()

    def of_calls(self, service: str, handler: Handler) -> Handler:
        """The handler of a service's requests, which records them."""

        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
        ) -> Any:
            request = Request(service, method, path, headers, body, query)
            checks = _checks.get()
            _checks.set(())
            key = extract_access_key_id(headers, query) or ""
            _caller.set(caller_of(iam_evaluator.resolve_principal(key, get_account_id())))
            # Before: a deletion leaves nothing to read tags from.
            record = self._call(request, checks)
            response = await handler(method, path, headers, body, query)
            self._write({**record, "status": int(response[0])})
            return response

        return handle

    def of_checks(self) -> None:
        """Remember what IAM is asked, and record what it denies."""
        evaluate, enforce = iam_evaluator.evaluate, iam_evaluator.enforce

        def evaluate_recorded(context: Any, *policies: Any) -> Any:
            _checks.set((*_checks.get(), _check(context)))
            return evaluate(context, *policies)

        def enforce_recorded(key: str, action: str, service: str, region: str, **more: Any) -> Any:
            denied = enforce(key, action, service, region, **more)
            if isinstance(denied, iam_evaluator.EvalResult):
                caller = caller_of(iam_evaluator.resolve_principal(key, get_account_id()))
                record = {
                    **self._of_caller(caller),
                    "tool": "",
                    "region": region,
                    "service": service,
                    "operation": action.partition(":")[2],
                    "parameters": {},
                    "checks": [self._with_policy(service, check) for check in _checks.get()],
                    "status": HTTPStatus.FORBIDDEN.value,
                }
                _checks.set(())
                self._write(record)
            return denied

        iam_evaluator.evaluate = evaluate_recorded
        iam_evaluator.enforce = enforce_recorded

    def of_resources(self) -> None:
        """Record what CloudFormation does with resources."""
        for type_, handlers in provisioners._RESOURCE_HANDLERS.items():
            for verb in {"create", "update", "delete"} & handlers.keys():
                handlers[verb] = self._of_verb(type_, verb, handlers[verb])
        invoke = custom_resource.invoke_custom_resource

        def invoke_recorded(
            verb: str, logical_id: str, properties: Any, *rest: Any, **more: Any
        ) -> Any:
            stack, _stack_id, type_ = rest
            self._resource(type_, verb.lower(), logical_id, properties, stack)
            return invoke(verb, logical_id, properties, *rest, **more)

        custom_resource.invoke_custom_resource = invoke_recorded

    def _of_verb(self, type_: str, verb: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """A handler of CloudFormation, which records what it has done."""

        def handle(*arguments: Any, **named: Any) -> Any:
            result = work(*arguments, **named)
            id_ = arguments[0] if verb == "delete" else result[0]
            # An update also has the old properties, before the new ones.
            properties = [given for given in arguments if isinstance(given, Mapping)]
            stack = (
                _stack_of(id_) if verb == "delete" else str(arguments[2 if verb == "create" else 3])
            )
            self._resource(type_, verb, str(id_), properties[-1], stack)
            return result

        return handle

    def _resource(
        self, type_: str, verb: str, id_: str, properties: Mapping[str, Any], stack: str
    ) -> None:
        self._write(
            {
                **self._of_caller(_caller.get()),
                "region": get_region(),
                "type": type_,
                "verb": verb,
                "id": id_,
                "stack": stack,
                "properties": _shown(properties),
            }
        )

    def _call(self, request: Request, checks: tuple[Record, ...]) -> Record:
        # What nobody can read is recorded as well: the certificate counts it.
        call = read_call(request) or Call(request.service, f"{request.method} {request.path}", {})
        # IAM is not asked about what the account's own credentials do.
        found = checks or (_unasked(request, call.operation),)
        agent = request.headers.get("user-agent", "")
        return {
            **self._of_caller(_caller.get()),
            "tool": next((name for word, name in _TOOLS.items() if word in agent.lower()), agent),
            "region": extract_region(request.headers),
            "service": call.service,
            "operation": call.operation,
            "parameters": call.shown(),
            "checks": [self._with_policy(request.service, check) for check in found],
        }

    def _of_caller(self, caller: Caller) -> Record:
        return {
            "caller": caller.arn,
            "identity": [self._policy(document) for document in caller.policies],
            "boundary": self._policy(caller.boundary) if caller.boundary else None,
        }

    def _with_policy(self, service: str, check: Record) -> Record:
        """The check with the policy of its resource, if it has one."""
        found = iam_evaluator._resource_policy(service, check["resource"])
        policy = found[0] if found else None
        return {**check, "policy": self._policy(policy) if policy else None}

    def _policy(self, document: Any) -> str:
        """The digest of a policy, which is written first."""
        text = document if isinstance(document, str) else json.dumps(document, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        if digest not in self._policies:
            self._policies.add(digest)
            self._write({"policy": digest, "document": json.loads(text)})
        return digest

    def _write(self, record: Record) -> None:
        line = json.dumps(record, default=str)
        with self._writing, self._file.open("a") as out:
            out.write(f"{line}\n")


def _stack_of(id_: str) -> str:
    """The stack at work that has a resource of CloudFormation; stages of APIs share their ids."""
    names = [
        (not str(stack.get("StackStatus")).endswith("IN_PROGRESS"), name)
        for name, stack in _stacks.items()
        for resource in stack.get("_resources", {}).values()
        if resource.get("PhysicalResourceId") == id_
    ]
    return min(names)[1] if names else ""


def _shown(properties: Mapping[str, Any]) -> Record:
    """The properties of a resource without what may be a password."""
    return {
        name: HIDDEN if re.search("Password|SecretString", name) else value
        for name, value in properties.items()
    }


def _check(context: Any) -> Record:
    """What IAM is asked: an action on a resource, with the condition keys of the request."""
    keys = {
        **context.principal_keys,
        **context.service_context,
        "aws:principalarn": context.principal_arn,
        "aws:principalaccount": context.principal_account,
        "aws:requestedregion": context.region,
        "aws:resourceaccount": context.principal_account,
        "aws:securetransport": str(context.secure_transport).lower(),
    }
    return {
        "action": context.action,
        "resource": context.resource_arn,
        "context": {name: value for name, value in keys.items() if value is not None},
    }


def _unasked(request: Request, operation: str) -> Record:
    """What IAM would be asked about a request."""
    parameters = app._routing_params(
        request.method, request.path, request.headers, request.body, request.query
    )
    asked = (request.service, request.method, request.path, request.headers, request.body)
    # What ministack does not know has its operation's name, as nearly all actions have.
    action = iam_actions.extract_iam_action(*asked, parameters) or (
        f"{iam_actions.SERVICE_TO_IAM_NAMESPACE.get(request.service, request.service)}:{operation}"
    )
    region = extract_region(request.headers)
    resource = iam_actions.extract_resource_arn(*asked, parameters, region, get_account_id())
    keys = dict(iam_actions.request_tag_context(request.service, action, request.body, parameters))
    if request.service == "s3":
        keys |= iam_actions.s3_service_context(
            action, request.query, request.path, dict(request.headers)
        )
    tags = resource_tags(resource) or {}
    keys |= {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
    return {
        "action": action,
        "resource": resource,
        "context": {**keys, "aws:RequestedRegion": region, "aws:SecureTransport": "true"},
    }
