"""Releases of functions through CodeDeploy.

AWS: CodeDeploy moves an alias that has an update policy. It calls the BeforeAllowTraffic hook first
and fails the update unless the hook reports success.
ministack: has no CodeDeploy and refuses templates with its resources.
Here: applications and deployment groups exist by name only. The BeforeAllowTraffic hook is called,
and its report decides. All traffic moves in one step, whatever the deployment configuration says,
and alarms do not stop a deployment. Remove this module once ministack has CodeDeploy.
"""

from __future__ import annotations

import json
import os
import uuid
from http import HTTPStatus
from typing import Any

import boto3
from botocore.config import Config
from ministack import app
from ministack.core import router
from ministack.core.responses import get_region
from ministack.services.cloudformation import _stacks, provisioners, stacks

from local.emulator.stack_actions import Properties, Update, before_update

_ALIAS = "AWS::Lambda::Alias"
_REPORT = "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus"
_HOOK_SECONDS = 150

# What hooks reported, by execution id.
_reports: dict[str, str] = {}


def install() -> None:
    """Add CodeDeploy's resources and its hook API, and call hooks before aliases change."""
    for kind in ("Application", "DeploymentGroup"):
        provisioners._RESOURCE_HANDLERS[f"AWS::CodeDeploy::{kind}"] = {
            "create": _create,
            "update": _update,
            "delete": _delete,
        }
    router.SERVICE_PATTERNS["codedeploy"] = {"target_prefixes": ["CodeDeploy_20141006"]}
    app.SERVICE_HANDLERS["codedeploy"] = _handle
    before_update(_ALIAS, _call_hook)
    # The hook calls the emulator while the update waits, so the update needs its own thread.
    blocks = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda type_: type_ == _ALIAS or blocks(type_)


def _create(logical_id: str, _properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
    return f"{stack}-{logical_id}-{uuid.uuid4().hex[:12].upper()}", {}


def _update(
    physical_id: str, _old: dict[str, Any], _new: dict[str, Any], _stack: str
) -> tuple[str, dict[str, Any]]:
    return physical_id, {}


def _delete(_physical_id: str, _properties: dict[str, Any]) -> None:
    """Only the name exists."""


async def _handle(
    _method: str, _path: str, headers: dict[str, str], body: bytes, _query: dict[str, Any]
) -> tuple[int, dict[str, str], bytes]:
    if headers.get("x-amz-target") != _REPORT:
        return HTTPStatus.NOT_IMPLEMENTED, {}, b"{}"
    request = json.loads(body)
    execution = request["lifecycleEventHookExecutionId"]
    _reports[execution] = request["status"]
    answer = json.dumps({"lifecycleEventHookExecutionId": execution}).encode()
    return HTTPStatus.OK, {"Content-Type": "application/x-amz-json-1.1"}, answer


def _call_hook(update: Update) -> Properties:
    hook = _hook(update.stack_name, update.logical_id)
    if hook and update.new.get("FunctionVersion") != update.old.get("FunctionVersion"):
        _run(hook)
    return update.old


def _hook(stack_name: str, alias: str | None) -> str | None:
    """The BeforeAllowTraffic function of an alias, None without one."""
    stack = _stacks[stack_name]
    resource = stack["_template"]["Resources"].get(alias, {})
    policy = resource.get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
    hook = policy.get("BeforeAllowTrafficHook", {}).get("Ref")
    return stack["_resources"][hook]["PhysicalResourceId"] if hook else None


def _run(hook: str) -> None:
    execution = uuid.uuid4().hex
    client = boto3.client(
        "lambda",
        region_name=get_region(),
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        config=Config(read_timeout=_HOOK_SECONDS, retries={"total_max_attempts": 1}),
    )
    event = {"DeploymentId": "d-LOCAL", "LifecycleEventHookExecutionId": execution}
    client.invoke(FunctionName=hook, Payload=json.dumps(event))
    status = _reports.pop(execution, "no status")
    if status != "Succeeded":
        raise ValueError(
            f"CodeDeploy: the BeforeAllowTraffic hook {hook} reported {status}; "
            "the alias was not changed"
        )
