"""Attributes of flow logs.

AWS: stores a flow log's role, log group, format, aggregation interval and tags.
ministack: drops them, so each Terraform plan wants to replace the flow log.
Here: they are stored and returned. Remove once ministack stores them.
"""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import ec2

from local.emulator.ec2_actions import Parameters, Record, after_creation, value

_DEFAULT_FORMAT = (
    "${version} ${account-id} ${interface-id} ${srcaddr} ${dstaddr} ${srcport} ${dstport} "
    "${protocol} ${packets} ${bytes} ${start} ${end} ${action} ${log-status}"
)
_DEFAULT_INTERVAL_SECONDS = "600"
_KEPT = "_requested"


def install() -> None:
    """Store and return the attributes."""
    after_creation("CreateFlowLogs", ec2._flow_logs, _keep)
    original = ec2._ACTION_MAP["DescribeFlowLogs"]

    def describe(parameters: Parameters) -> Any:
        status, headers, body = original(parameters)
        return status, headers, re.sub(rb"<flowLogId>(.+?)</flowLogId>", _with_attributes, body)

    ec2._ACTION_MAP["DescribeFlowLogs"] = describe


def _keep(parameters: Parameters, flow_log: Record) -> None:
    ec2._parse_tag_specs(parameters, "vpc-flow-log", flow_log["FlowLogId"])
    destination = flow_log["LogDestination"]
    group = destination.split(":")[6] if ":log-group:" in destination else destination
    kept = {
        "logGroupName": group if flow_log["LogDestinationType"] == "cloud-watch-logs" else "",
        "deliverLogsPermissionArn": value(parameters, "DeliverLogsPermissionArn"),
        "logFormat": value(parameters, "LogFormat") or _DEFAULT_FORMAT,
        "maxAggregationInterval": value(parameters, "MaxAggregationInterval")
        or _DEFAULT_INTERVAL_SECONDS,
    }
    flow_log[_KEPT] = {name: content for name, content in kept.items() if content}


def _with_attributes(match: re.Match[bytes]) -> bytes:
    kept = ec2._flow_logs[match[1].decode()].get(_KEPT, {})
    added = "".join(f"<{name}>{escape(content)}</{name}>" for name, content in kept.items())
    return match[0] + added.encode()
