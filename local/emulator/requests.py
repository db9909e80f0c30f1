"""What a request asks AWS for, read by botocore's service models.

botocore builds requests and reads none. This module reads those of all its protocols. A value gets
the type of its shape; one that does not fit stays as it was sent, for the judges to name.
https://smithy.io/2.0/aws/protocols/index.html
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

import defusedxml.ElementTree
from botocore.model import ServiceModel
from botocore.parsers import RpcV2CBORParser

from infra.gate.models import HIDDEN, input_shape, service_model

# ministack's names of services that botocore calls otherwise.
_NAMES = {"monitoring": "cloudwatch"}
Parameters = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """An HTTP request to a service, as ministack hands it to the service's handler."""

    service: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Call:
    """One operation of a service, with its parameters by botocore's names."""

    service: str
    operation: str
    parameters: Parameters

    def shown(self) -> Parameters:
        """The parameters without what the model marks as sensitive, such as passwords."""
        if not self.parameters:
            return {}
        shape = input_shape(self.service, self.operation)
        return _shown(shape, self.parameters) if shape else {}


def read_call(request: Request) -> Call | None:
    """The call that a request makes; None if it makes none that botocore knows."""
    name = _NAMES.get(request.service, request.service)
    try:
        model = service_model(f"{name}v2" if request.path.startswith("/v2/apis") else name)
    except LookupError:
        return None
    operation, read = _operation(model, request)
    if operation not in model.operation_names:
        return None
    shape = model.operation_model(operation).input_shape
    return Call(model.service_name, operation, read(shape) if shape else {})


def _operation(model: ServiceModel, request: Request) -> tuple[str, Callable[[Any], Parameters]]:
    """The name of the operation, and what reads its parameters by their shape."""
    if target := request.headers.get("x-amz-target"):
        return target.rpartition(".")[2], lambda shape: _typed(shape, _json(request.body))
    if found := re.fullmatch(r"/service/\w+/operation/(\w+)", request.path):
        return found[1], lambda _shape: _cbor(request.body)
    values = {**_form(request), **request.query}
    if action := values.get("Action"):
        is_ec2 = model.protocol == "ec2"
        flat = {key: found[0] for key, found in values.items()}
        return action[0], lambda shape: _unflattened(shape, flat, "", is_ec2=is_ec2) or {}
    for name, method, pattern in _routes(model):
        found = pattern.fullmatch(request.path)
        if found and method == request.method and _marked(model, name, request):
            return name, functools.partial(_rest, request, found.groupdict())
    return "", lambda _shape: {}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return {}


def _cbor(body: bytes) -> Parameters:
    parser = RpcV2CBORParser()
    stream = parser.get_peekable_stream_from_bytes(body)
    return dict(parser.parse_data_item(stream)) if body else {}


def _form(request: Request) -> Mapping[str, Sequence[str]]:
    if "x-www-form-urlencoded" not in request.headers.get("content-type", ""):
        return {}
    return parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)


def _scalar(shape: Any, text: Any) -> Any:
    """A value with the type of its shape, or as it was sent."""
    if not isinstance(text, str):
        return text
    try:
        if shape.type_name in ("integer", "long"):
            return int(text)
        if shape.type_name in ("float", "double"):
            return float(text)
    except ValueError:
        return text
    if shape.type_name == "boolean":
        return {"true": True, "false": False}.get(text.lower(), text)
    return text


def _typed(shape: Any, value: Any) -> Any:
    """A value of a JSON document, by botocore's names of its members."""
    if shape.type_name == "structure" and isinstance(value, dict):
        names = {m.serialization.get("name", name): name for name, m in shape.members.items()}
        return {
            names.get(key, key): _typed(shape.members[names[key]], item) if key in names else item
            for key, item in value.items()
            if item is not None
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_typed(shape.member, item) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: _typed(shape.value, item) for key, item in value.items()}
    return value


def _unflattened(shape: Any, values: Mapping[str, str], prefix: str, *, is_ec2: bool) -> Any:
    """A value of the Query protocol, whose nested members are joined by dots; None if absent."""
    if shape.type_name == "structure":
        found = {}
        for name, member in shape.members.items():
            key = f"{prefix}.{_wire(name, member, is_ec2=is_ec2)}".lstrip(".")
            value = _unflattened(member, values, key, is_ec2=is_ec2)
            if value is not None:
                found[name] = value
        return found or None
    if shape.type_name == "list":
        inner = shape.member.serialization.get("name", "member")
        flat = is_ec2 or shape.serialization.get("flattened")
        stem = prefix if flat else f"{prefix}.{inner}"
        return _numbered(
            values, stem, lambda k: _unflattened(shape.member, values, k, is_ec2=is_ec2)
        )
    if shape.type_name == "map":
        stem = prefix if shape.serialization.get("flattened") else f"{prefix}.entry"
        entries = _numbered(values, stem, lambda k: (values[f"{k}.key"], values[f"{k}.value"]))
        return entries and dict(entries)
    return _scalar(shape, values[prefix]) if prefix in values else None


def _wire(name: str, member: Any, *, is_ec2: bool) -> str:
    """The name of a member in a Query request."""
    serialization = member.serialization
    if is_ec2:
        sent = serialization.get("queryName") or serialization.get("name", name)
        return str(sent[0].upper() + sent[1:])
    return str(serialization.get("name", name))


def _numbered(values: Mapping[str, str], stem: str, read: Callable[[str], Any]) -> Any:
    """The items `stem.1`, `stem.2`, …; None if there are none."""
    numbers = {
        int(found[1])
        for key in values
        if (found := re.match(rf"{re.escape(stem)}\.(\d+)(?:\.|$)", key))
    }
    return [read(f"{stem}.{number}") for number in sorted(numbers)] or None


@functools.cache
def _routes(model: ServiceModel) -> list[tuple[str, str, re.Pattern[str]]]:
    """Operation, method and path of the REST protocols; paths with fewer variables come first."""
    found = []
    for name in model.operation_names:
        http = model.operation_model(name).http
        # Some clients leave out a slash at the end.
        path = http.get("requestUri", "/").partition("?")[0].rstrip("/")
        parts = re.split(r"(\{[^}]+\})", path)
        pattern = "".join(
            f"(?P<{_group(part)}>{'.+' if part.endswith('+}') else '[^/]+'})"
            if part.startswith("{")
            else re.escape(part)
            for part in parts
        )
        found.append((path.count("{"), name, http["method"], re.compile(f"{pattern}/?")))
    # Of several operations with a route, the one that asks for more comes first, and a deprecated
    # one last.
    found.sort(
        key=lambda route: (
            route[0],
            -_demands(model, route[1]),
            model.operation_model(route[1]).deprecated,
        )
    )
    return [(name, method, pattern) for _, name, method, pattern in found]


def _group(part: str) -> str:
    return re.sub(r"\W", "_", part.strip("{}+"))


def _demands(model: ServiceModel, operation: str) -> int:
    shape: Any = model.operation_model(operation).input_shape
    return len(_query_marks(model, operation)) + (len(shape.required_members) if shape else 0)


def _query_marks(model: ServiceModel, operation: str) -> dict[str, str]:
    """What a route's own query string has, such as `acl` and `list-type=2`."""
    query = model.operation_model(operation).http.get("requestUri", "").partition("?")[2]
    pairs = (mark.partition("=") for mark in query.split("&") if mark)
    return {name: value for name, _, value in pairs}


def _marked(model: ServiceModel, operation: str, request: Request) -> bool:
    """Whether the request has what tells the operation from others with its path and method.

    That is the query string of its route, and what it requires in query string and headers.
    """
    shape: Any = model.operation_model(operation).input_shape
    required = [shape.members[name] for name in shape.required_members] if shape else []
    sent = {"querystring": request.query, "header": request.headers}
    return all(
        name in request.query and (not value or value in request.query[name])
        for name, value in _query_marks(model, operation).items()
    ) and all(
        member.serialization["name"] in sent[place]
        for member in required
        if (place := member.serialization.get("location")) in sent
    )


def _rest(request: Request, path: Mapping[str, str], shape: Any) -> Parameters:
    """The parameters of the REST protocols: from path, query, headers and body."""
    found: Parameters = {}
    payload = shape.serialization.get("payload")
    in_body = {}
    for name, member in shape.members.items():
        place = member.serialization.get("location")
        key = member.serialization.get("name", name)
        if place == "uri" and (value := path.get(_group(f"{{{key}}}"))) is not None:
            found[name] = _scalar(member, unquote(value))
        elif place == "querystring" and key in request.query:
            values = list(request.query[key])
            is_list = member.type_name == "list"
            found[name] = values if is_list else _scalar(member, values[0])
        elif place == "header" and key.lower() in request.headers:
            found[name] = _scalar(member, request.headers[key.lower()])
        elif place == "headers":
            start = key.lower()
            mapped = {k[len(start) :]: v for k, v in request.headers.items() if k.startswith(start)}
            found.update({name: mapped} if mapped else {})
        elif place is None:
            in_body[name] = member
    if payload:
        member = shape.members[payload]
        if member.type_name == "structure" and request.body:
            found[payload] = _document(member, request.body)
        elif request.body:
            found[payload] = request.body.decode("utf-8", "replace")
    elif in_body and request.body:
        document = _document(shape, request.body)
        found.update({name: value for name, value in document.items() if name not in found})
    return found


def _document(shape: Any, body: bytes) -> Parameters:
    """The body of a REST request: JSON or XML."""
    if not body.lstrip().startswith(b"<"):
        document: Parameters = _typed(shape, _json(body))
        return document
    try:
        root = defusedxml.ElementTree.fromstring(body)
    except defusedxml.ElementTree.ParseError:
        return {}
    return dict(_from_xml(shape, root))


def _from_xml(shape: Any, element: Any) -> Any:
    if shape.type_name == "structure":
        found = {}
        for name, member in shape.members.items():
            key = member.serialization.get("name", name)
            children = [child for child in element if _local(child.tag) == key]
            if member.serialization.get("xmlAttribute"):
                attribute = key.rpartition(":")[2]
                values = [v for k, v in element.attrib.items() if _local(k) == attribute]
                found.update({name: values[0]} if values else {})
            elif member.type_name == "list" and member.serialization.get("flattened"):
                if children:
                    found[name] = [_from_xml(member.member, child) for child in children]
            elif children:
                found[name] = _from_xml(member, children[0])
        return found
    if shape.type_name == "list":
        return [_from_xml(shape.member, child) for child in element]
    return _scalar(shape, element.text or "")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _shown(shape: Any, value: Any) -> Any:
    """The value without what its model marks as sensitive, and binary values as their size."""
    if shape.metadata.get("sensitive"):
        return HIDDEN
    if shape.type_name == "blob":
        return _size(value)
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            key: _shown(shape.members[key], item) if key in shape.members else item
            for key, item in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_shown(shape.member, item) for item in value]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: _shown(shape.value, item) for key, item in value.items()}
    return value


def _size(value: Any) -> str:
    raw = value if isinstance(value, bytes) else str(value).encode()
    with contextlib.suppress(binascii.Error, ValueError):
        raw = base64.b64decode(raw, validate=True)
    return f"({len(raw)} bytes)"
