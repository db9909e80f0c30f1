"""CloudWatch alarms in the Query protocol, with all their attributes.

AWS: returns all attributes of an alarm in each of its protocols.
ministack: returns them in JSON only. Most are missing in the Query protocol, which Terraform's
provider uses. It drops metric-math queries and the actions on insufficient data.
Here: the JSON answer is translated, and the dropped parts are kept. Remove once ministack returns
all attributes in the Query protocol.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import cloudwatch

_LISTS = ("AlarmNames", "AlarmTypes")
_TEXTS = ("AlarmNamePrefix", "StateValue", "MaxRecords", "NextToken")


def install() -> None:
    """Extend the Query protocol's actions."""
    cloudwatch._put_metric_alarm = _keeping(cloudwatch._put_metric_alarm)
    cloudwatch._describe_alarms = _describing(cloudwatch._describe_alarms)


def _keeping(original: Any) -> Any:
    def put(parameters: dict[str, Any], request: Any, is_cbor: bool, is_json: bool = False) -> Any:
        response = original(parameters, request, is_cbor, is_json)
        if response[0] == HTTPStatus.OK and not (is_cbor or is_json):
            asked = _structure(parameters)
            alarm = cloudwatch._alarms[asked["AlarmName"]]
            alarm["InsufficientDataActions"] = asked.get("InsufficientDataActions", [])
            for name in ("Metrics", "ThresholdMetricId", "EvaluateLowSampleCountPercentile"):
                if name in asked:
                    alarm[name] = asked[name]
            # ministack sets defaults that AWS does not: an alarm on an expression or a percentile
            # has no statistic.
            for name in ("Statistic", "Period"):
                if name not in asked:
                    alarm[name] = None
        return response

    return put


def _describing(original: Any) -> Any:
    def describe(
        parameters: dict[str, Any], request: Any, is_cbor: bool, is_json: bool = False
    ) -> Any:
        if is_cbor or is_json:
            return original(parameters, request, is_cbor, is_json)
        asked = {n: v for n, v in _structure(parameters).items() if n in (*_LISTS, *_TEXTS)}
        status, _, body = original(parameters, asked, False, True)
        if status != HTTPStatus.OK:
            return original(parameters, request, False, False)
        result = _element("DescribeAlarmsResult", json.loads(body))
        return cloudwatch._xml(200, "DescribeAlarmsResponse", result)

    return describe


def _structure(parameters: dict[str, Any]) -> dict[str, Any]:
    """Query parameters as nested values: `A.member.1.B=x` is `{"A": [{"B": "x"}]}`."""
    top: dict[str, Any] = {}
    for path, values in parameters.items():
        text = values[0] if isinstance(values, list) else values
        *parents, last = re.sub(r"\.member\.", ".", path).split(".")
        node = top
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = text
    return {name: _listed(node) for name, node in top.items()}


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(name.isdecimal() for name in node):
        return [_listed(node[name]) for name in sorted(node, key=int)]
    return {name: _listed(child) for name, child in node.items()}


def _element(name: str, content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, dict):
        inner = "".join(_element(child, value) for child, value in content.items())
    elif isinstance(content, list):
        inner = "".join(_element("member", value) for value in content)
    elif isinstance(content, bool):
        inner = str(content).lower()
    elif name.endswith("Timestamp"):
        inner = datetime.fromtimestamp(content, UTC).isoformat(timespec="milliseconds")
    else:
        inner = escape(str(content))
    return f"<{name}>{inner}</{name}>"
