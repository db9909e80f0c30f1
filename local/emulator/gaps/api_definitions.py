"""REST APIs with models, validators and gateway responses in their definition.

AWS: imports models, request validators and gateway responses from an OpenAPI definition. A
changed definition updates the API in place: its id and its URL stay.
ministack: imports paths, integrations and security only. A changed definition creates a new API.
Here: the whole definition is imported, and the API keeps its id. Remove once ministack does the
same.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from ministack.services import apigateway_v1 as gateway

from local.emulator.stack_actions import Properties, Update, before_update

Definition = dict[str, Any]

_RESPONSES = "x-amazon-apigateway-gateway-responses"
_VALIDATORS = "x-amazon-apigateway-request-validators"
_VALIDATOR = "x-amazon-apigateway-request-validator"
_TYPE = "AWS::ApiGateway::RestApi"

# What belongs to an API but is not part of its definition.
_KEPT = (gateway._stages_v1, gateway._deployments_v1, gateway._deployed_gateway_responses)


def install() -> None:
    """Import whole definitions, and update APIs in place."""
    gateway._import_rest_api = _importing_all(gateway._import_rest_api)
    before_update(_TYPE, _update_in_place)


def _importing_all(original: Any) -> Any:
    def import_rest_api(definition: Definition, base: dict[str, Any] | None = None) -> Any:
        api = original(definition, base)
        _import_rest(api, definition)
        return api

    return import_rest_api


def _import_rest(api: str, definition: Definition) -> None:
    for name, schema in definition.get("definitions", {}).items():
        gateway._create_model(api, {"name": name, "schema": json.dumps(schema)})
    validators = {
        name: json.loads(gateway._create_request_validator(api, {"name": name, **settings})[2])
        for name, settings in definition.get(_VALIDATORS, {}).items()
    }
    for kind, response in definition.get(_RESPONSES, {}).items():
        gateway._put_gateway_response(api, kind, response)
    methods = {
        (resource["path"], method.lower()): settings
        for resource in gateway._resources[api].values()
        for method, settings in resource["resourceMethods"].items()
    }
    for path, operations in definition.get("paths", {}).items():
        for method, operation in operations.items():
            if (path, method) in methods and _VALIDATOR in operation:
                validator = validators[operation[_VALIDATOR]]
                methods[path, method].update(
                    requestValidatorId=validator["id"], requestModels=_models(operation)
                )


def _models(operation: Definition) -> dict[str, str]:
    """The model of a Swagger 2.0 operation's body, by content type."""
    (body,) = (p for p in operation.get("parameters", []) if p["in"] == "body")
    return {"application/json": body["schema"]["$ref"].rpartition("/")[2]}


def _update_in_place(update: Update) -> Properties:
    body = update.new.get("Body")
    if body == update.old.get("Body") or not isinstance(body, dict):
        return update.old
    _put_over(update.physical_id, body)
    return {**update.old, "Body": body}


def _put_over(api: str, definition: Definition) -> None:
    kept = [store.get(api) for store in _KEPT]
    record = gateway._rest_apis[api]
    gateway._delete_rest_api(api)
    with _next_id(api):
        gateway._import_rest_api(definition, record)
    for store, content in zip(_KEPT, kept, strict=True):
        store[api] = content


@contextlib.contextmanager
def _next_id(api: str) -> Iterator[None]:
    """Give this id to the next API that is created."""
    original = gateway._resolve_custom_rest_api_id
    gateway._resolve_custom_rest_api_id = lambda _tags: (api, None)
    try:
        yield
    finally:
        gateway._resolve_custom_rest_api_id = original
