"""Access logs of REST APIs.

AWS: a stage writes one line for each request to its log group, in the stage's own format.
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-variables-for-access-logging.html
ministack: a stack's stage loses the setting, and no stage writes a line.
Here: stages keep the setting and write the lines, with the variables that a Lambda proxy has. A
variable without a value is `-`, as on AWS. Remove once ministack writes access logs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from ministack.services import apigateway_v1, cloudwatch_logs
from ministack.services.cloudformation import provisioners

_TYPE = "AWS::ApiGateway::Stage"
_VARIABLE = re.compile(r"\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)")

# The variables of the request that is being answered.
_answering: ContextVar[dict[str, Any]] = ContextVar("answering")


def install() -> None:
    """Keep the setting of stages, and write a line for each request."""
    _keep_setting(provisioners._RESOURCE_HANDLERS[_TYPE])
    handle, execute = apigateway_v1._handle_execute_in_scope, apigateway_v1._execute_in_scope
    invoke, build = apigateway_v1._invoke_lambda_proxy_v1, apigateway_v1._build_lambda_event_v1

    async def handle_logged(
        api: str, stage: str, method: str, path: str, *rest: Any, **more: Any
    ) -> Any:
        begun = time.monotonic()
        variables = {"httpMethod": method, "requestTimeEpoch": int(time.time() * 1000)}
        token = _answering.set(variables)
        try:
            response = await handle(api, stage, method, path, *rest, **more)
        finally:
            _answering.reset(token)
        status, _, body = response
        variables["status"] = status
        variables["responseLength"] = len(body or b"")
        variables["responseLatency"] = _milliseconds(begun)
        _write(apigateway_v1._stages_v1.get(api, {}).get(stage) or {}, variables)
        return response

    async def execute_noted(request: Mapping[str, Any], *rest: Any) -> Any:
        response = await execute(request, *rest)
        variables = _answering.get()
        variables.setdefault("requestId", request["request_id"])
        variables.setdefault("extendedRequestId", request["request_id"])
        variables["resourcePath"] = request["resource_path"]
        if isinstance(response, apigateway_v1._GatewayError):
            variables["error.responseType"] = response.response_type
        return response

    async def invoke_timed(*arguments: Any, **more: Any) -> Any:
        begun = time.monotonic()
        response = await invoke(*arguments, **more)
        _answering.get()["integrationLatency"] = _milliseconds(begun)
        # The status of the call of the function, whatever the function answers.
        _answering.get()["integrationStatus"] = 200
        return response

    def build_noted(*arguments: Any, **more: Any) -> Any:
        event = build(*arguments, **more)
        _answering.get().update(_flat(event["requestContext"]))
        return event

    apigateway_v1._handle_execute_in_scope = handle_logged
    apigateway_v1._execute_in_scope = execute_noted
    apigateway_v1._invoke_lambda_proxy_v1 = invoke_timed
    apigateway_v1._build_lambda_event_v1 = build_noted


def _keep_setting(handlers: dict[str, Any]) -> None:
    create, update = handlers["create"], handlers["update"]

    def create_logging(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        created = create(logical_id, props, stack_name)
        _set(props)
        return created

    def update_logging(
        physical_id: str, old_props: Any, new_props: Any, stack_name: str, *rest: Any
    ) -> Any:
        updated = update(physical_id, old_props, new_props, stack_name, *rest)
        _set(new_props)
        return updated

    handlers.update(create=create_logging, update=update_logging)


def _set(props: Mapping[str, Any]) -> None:
    setting = props.get("AccessLogSetting") or {}
    stage = apigateway_v1._stages_v1[props["RestApiId"]][props["StageName"]]
    stage["accessLogSettings"] = {
        "destinationArn": setting.get("DestinationArn", ""),
        "format": setting.get("Format", ""),
    }


def _write(stage: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    setting = stage.get("accessLogSettings") or {}
    # arn:aws:logs:<region>:<account>:log-group:<name>
    name = setting.get("destinationArn", "").partition(":log-group:")[2].removesuffix(":*")
    group = cloudwatch_logs._log_groups.get(name)
    if group is None:
        return
    line = _VARIABLE.sub(lambda found: str(variables.get(found[1]) or "-"), setting["format"])
    now = datetime.now(UTC)
    stream = f"{now:%Y/%m/%d}"
    if stream not in group["streams"]:
        cloudwatch_logs._create_log_stream({"logGroupName": name, "logStreamName": stream})
    milliseconds = int(now.timestamp() * 1000)
    event = {"timestamp": milliseconds, "message": line, "ingestionTime": milliseconds}
    cloudwatch_logs._append_log_events(group["streams"][stream], [event])


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by their dotted names, such as `identity.sourceIp`."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _milliseconds(since: float) -> int:
    return round((time.monotonic() - since) * 1000)
