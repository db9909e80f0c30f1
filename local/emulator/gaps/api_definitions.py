"""REST APIs whose definition says more than routes and authorizers.

AWS: takes models, request validators and gateway responses from an OpenAPI definition, too, and a
changed definition is put over the API, which keeps its id and so its URL.
ministack: takes paths, integrations and security; a changed definition makes another API.
Here: the rest of the definition is imported, and the API keeps its id. Droppable once ministack
does so.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from ministack.services import apigateway_v1 as gateway
from ministack.services.cloudformation import provisioners

Definition = dict[str, Any]

_RESPONSES = "x-amazon-apigateway-gateway-responses"
_VALIDATORS = "x-amazon-apigateway-request-validators"
_VALIDATOR = "x-amazon-apigateway-request-validator"
_TYPE = "AWS::ApiGateway::RestApi"

# What belongs to an API and is not in its definition.
_KEPT = (gateway._stages_v1, gateway._deployments_v1, gateway._deployed_gateway_responses)


def install() -> None:
    """Import definitions as a whole, and in place."""
    gateway._import_rest_api = _importing_all(gateway._import_rest_api)
    handler = provisioners._RESOURCE_HANDLERS[_TYPE]
    handler["update"] = _updating_in_place(handler["update"])


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


def _updating_in_place(original: Any) -> Any:
    def update(
        physical_id: str,
        old: dict[str, Any],
        new: dict[str, Any],
        stack_name: str,
        logical_id: str | None = None,
    ) -> Any:
        body = new.get("Body")
        if body != old.get("Body") and isinstance(body, dict):
            _put_over(physical_id, body)
            old = {**old, "Body": body}
        return original(physical_id, old, new, stack_name, logical_id)

    return update


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
    """Have the next API that is made get this id."""
    original = gateway._resolve_custom_rest_api_id
    gateway._resolve_custom_rest_api_id = lambda _tags: (api, None)
    try:
        yield
    finally:
        gateway._resolve_custom_rest_api_id = original
