"""Releases of functions with CodeDeploy.

AWS: CodeDeploy moves an alias that has an update policy. It stops immediately if an alarm of the
deployment group is in ALARM. It calls the BeforeAllowTraffic hook and fails unless the hook reports
success. Then it shifts traffic by weight, as the deployment configuration says. It rolls back if an
alarm rings or somebody stops the deployment.
https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-create-alarms.html
ministack: has no CodeDeploy and rejects templates with its resources.
Here: all of this, with the rights of the deployment group's role. But one minute of a deployment
configuration takes one second, and an alarm rings only if somebody sets its state. Remove once
ministack has CodeDeploy.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import boto3
from botocore.config import Config
from ministack import app
from ministack.core import iam_actions, router
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, sts
from ministack.services.cloudformation import (
    _stacks,
    changesets,
    handlers,
    provisioners,
    stacks,
)

from local.emulator.stack_actions import Properties, Update, before_update

_ALIAS = "AWS::Lambda::Alias"
_TARGET = "CodeDeploy_20141006."
_HOOK_SECONDS = 150
_MINUTE_SECONDS = 1.0
_POLL_SECONDS = 0.2
_ALL = 100
# What the managed policy of CodeDeploy's roles allows for a hook, alarms and an alias.
# https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCodeDeployRoleForLambda.html
_MANAGED_POLICY = "service-role/AWSCodeDeployRoleForLambda"
_ALLOWED = [
    {
        "Effect": "Allow",
        "Action": [
            "cloudwatch:DescribeAlarms",
            "lambda:GetAlias",
            "lambda:GetProvisionedConcurrencyConfig",
            "lambda:UpdateAlias",
            "sns:Publish",
        ],
        "Resource": "*",
    },
    {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": "arn:aws:lambda:*:*:function:CodeDeployHook_*",
    },
]

# The status that hooks reported, by execution id.
_reports: dict[str, str] = {}
# The newest template of each stack.
_templates: dict[str, Properties] = {}
# The properties of deployment groups, by name.
_groups: dict[str, Properties] = {}
# The status of deployments, by id, and the ARNs of their groups.
_deployments: dict[str, str] = {}
_group_arns: dict[str, str] = {}


def install() -> None:
    """Add CodeDeploy's resources and its API, and shift aliases as it does."""
    for kind in ("Application", "DeploymentGroup"):
        provisioners._RESOURCE_HANDLERS[f"AWS::CodeDeploy::{kind}"] = {
            "create": _create,
            "update": _update,
            "delete": _delete,
        }
    router.SERVICE_PATTERNS["codedeploy"] = {"target_prefixes": [_TARGET.rstrip(".")]}
    app.SERVICE_HANDLERS["codedeploy"] = _handle
    iam_actions.SERVICE_TO_IAM_NAMESPACE["codedeploy"] = "codedeploy"
    extract = iam_actions.extract_resource_arn

    def extract_group(service: str, *request: Any) -> Any:
        if service != "codedeploy":
            return extract(service, *request)
        _method, _path, _headers, body, *_rest = request
        return _group_arns.get(json.loads(body or b"{}").get("deploymentId", ""), "*")

    iam_actions.extract_resource_arn = extract_group
    before_update(_ALIAS, _deploy)
    managed = iam._make_aws_managed_record(
        _MANAGED_POLICY, json.dumps({"Version": "2012-10-17", "Statement": _ALLOWED})
    )
    iam._aws_managed_policies[managed["Arn"]] = managed
    original = stacks._deploy_stack_async

    async def deploy_stack(
        stack_name: str, stack_id: str, template: Properties, *more: Any, **named: Any
    ) -> Any:
        # A stack shows its old template until its update ends.
        _templates[stack_name] = template
        return await original(stack_name, stack_id, template, *more, **named)

    for module in (changesets, handlers, stacks):
        module._deploy_stack_async = deploy_stack
    # The hook calls the emulator while the update waits, so the update needs its own thread.
    blocks = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda type_: type_ == _ALIAS or blocks(type_)


def _create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, Any]]:
    name = f"{stack}-{logical_id}-{uuid.uuid4().hex[:12].upper()}"
    _groups[name] = properties
    return name, {}


def _update(
    physical_id: str, _old: dict[str, Any], new: dict[str, Any], _stack: str
) -> tuple[str, dict[str, Any]]:
    _groups[physical_id] = new
    return physical_id, {}


def _delete(physical_id: str, _properties: dict[str, Any]) -> None:
    _groups.pop(physical_id, None)


async def _handle(
    _method: str, _path: str, headers: dict[str, str], body: bytes, _query: dict[str, Any]
) -> tuple[int, dict[str, str], bytes]:
    action = headers.get("x-amz-target", "").removeprefix(_TARGET)
    request = json.loads(body or b"{}")
    answer: dict[str, Any]
    match action:
        case "PutLifecycleEventHookExecutionStatus":
            execution = request["lifecycleEventHookExecutionId"]
            _reports[execution] = request["status"]
            answer = {"lifecycleEventHookExecutionId": execution}
        case "ListDeployments":
            wanted = request.get("includeOnlyStatuses")
            found = [i for i, status in _deployments.items() if not wanted or status in wanted]
            answer = {"deployments": found}
        case "GetDeployment":
            id_ = request["deploymentId"]
            answer = {"deploymentInfo": {"deploymentId": id_, "status": _deployments[id_]}}
        case "StopDeployment":
            _deployments[request["deploymentId"]] = "Stopped"
            answer = {"status": "Succeeded"}
        case _:
            return HTTPStatus.NOT_IMPLEMENTED, {}, b"{}"
    return (
        HTTPStatus.OK,
        {"Content-Type": "application/x-amz-json-1.1"},
        json.dumps(answer).encode(),
    )


def _deploy(update: Update) -> Properties:
    """Shift the alias's traffic before the update makes the shift final."""
    policy = _update_policy(update.stack_name, update.logical_id)
    if policy and update.new.get("FunctionVersion") != update.old.get("FunctionVersion"):
        deployment = f"d-{uuid.uuid4().hex[:9].upper()}"
        _deployments[deployment] = "InProgress"
        name, group = _group(update.stack_name, policy["DeploymentGroupName"]["Ref"])
        _group_arns[deployment] = (
            f"arn:aws:codedeploy:{get_region()}:{get_account_id()}:"
            f"deploymentgroup:{group['ApplicationName']}/{name}"
        )
        try:
            _move(update, policy, deployment)
        except ValueError:
            if _deployments[deployment] == "InProgress":
                _deployments[deployment] = "Failed"
            raise
        _deployments[deployment] = "Succeeded"
    return update.old


def _move(update: Update, policy: Properties, deployment: str) -> None:
    """Run the hook and shift the weights.

    Raises:
        ValueError: an alarm rings, the hook does not report success, or the deployment was stopped.
    """
    _name, group = _group(update.stack_name, policy["DeploymentGroupName"]["Ref"])
    alarms = _alarm_names(group)
    role = str(group["ServiceRoleArn"])
    _check(deployment, alarms, role)
    if hook := policy.get("BeforeAllowTrafficHook"):
        resources = _stacks[update.stack_name]["_resources"]
        _run(resources[hook["Ref"]]["PhysicalResourceId"], deployment, role)
    lambda_ = _client("lambda", role)
    alias = {"FunctionName": update.new["FunctionName"], "Name": update.new["Name"]}
    new = str(update.new["FunctionVersion"])
    try:
        for percent, minutes in _steps(str(group.get("DeploymentConfigName", ""))):
            weights = {"AdditionalVersionWeights": {new: percent / _ALL}}
            lambda_.update_alias(**alias, RoutingConfig=weights)
            end = time.monotonic() + minutes * _MINUTE_SECONDS
            while time.monotonic() < end:
                _check(deployment, alarms, role)
                time.sleep(_POLL_SECONDS)
        _check(deployment, alarms, role)
    finally:
        lambda_.update_alias(**alias, RoutingConfig={})


def _steps(configuration: str) -> Sequence[tuple[int, int]]:
    """The percentages of a deployment configuration, and the minutes that each one lasts."""
    if found := re.search(r"Canary(\d+)Percent(\d+)Minutes", configuration):
        return [(int(found[1]), int(found[2]))]
    if found := re.search(r"Linear(\d+)PercentEvery(\d+)Minutes?", configuration):
        step = int(found[1])
        return [(percent, int(found[2])) for percent in range(step, _ALL, step)]
    return []


def _check(deployment: str, alarms: Sequence[str], role: str) -> None:
    """Do nothing if the deployment may go on.

    Raises:
        ValueError: it was stopped, or one of the alarms is in ALARM.
    """
    if _deployments[deployment] == "Stopped":
        raise ValueError(f"CodeDeploy: the deployment {deployment} was stopped")
    if not alarms:
        return
    found = _client("cloudwatch", role).describe_alarms(AlarmNames=list(alarms), StateValue="ALARM")
    for alarm in found["MetricAlarms"]:
        raise ValueError(
            f"CodeDeploy: the deployment {deployment} was stopped, because the alarm "
            f"{alarm['AlarmName']} is in ALARM; the alias was not changed"
        )


def _alarm_names(group: Properties) -> list[str]:
    configuration = group.get("AlarmConfiguration") or {}
    if not configuration.get("Enabled", True):
        return []
    return [alarm["Name"] for alarm in configuration.get("Alarms", []) if "Name" in alarm]


def _update_policy(stack_name: str, alias: str | None) -> Properties:
    """How CodeDeploy updates an alias; empty if it does not."""
    resource = _templates[stack_name]["Resources"].get(alias, {})
    policy: Properties = resource.get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
    return policy


def _group(stack_name: str, logical_id: str) -> tuple[str, Properties]:
    """Name and properties of a stack's deployment group; the same update may create it."""
    start = f"{stack_name}-{logical_id}-"
    for name, group in _groups.items():
        if name.startswith(start):
            return name, group
    # It was created before the emulator started.
    record: Properties = _stacks[stack_name]["_resources"].get(logical_id, {})
    return record.get("PhysicalResourceId", ""), record.get("Properties") or {}


def _client(service: str, role: str) -> Any:
    """A client with the rights of the deployment group's role."""
    digest = hashlib.sha256(role.encode()).hexdigest()
    key, secret, token = f"ASIA{digest[:16].upper()}", digest[16:56], digest
    name, account = role.rpartition("/")[2], role.split(":")[4]
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/CodeDeploy",
            "UserId": f"{name}:CodeDeploy",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    connect: Any = boto3.client
    return connect(
        service,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        region_name=get_region(),
        endpoint_url=os.environ["AWS_ENDPOINT_URL"],
        config=Config(read_timeout=_HOOK_SECONDS, retries={"total_max_attempts": 1}),
    )


def _run(hook: str, deployment: str, role: str) -> None:
    execution = uuid.uuid4().hex
    event = {"DeploymentId": deployment, "LifecycleEventHookExecutionId": execution}
    _client("lambda", role).invoke(FunctionName=hook, Payload=json.dumps(event))
    status = _reports.pop(execution, "no status")
    if status != "Succeeded":
        raise ValueError(
            f"CodeDeploy: the BeforeAllowTraffic hook {hook} reported {status}; "
            "the alias was not changed"
        )
