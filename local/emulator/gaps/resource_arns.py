"""The resources that IAM policies are compared with.

AWS: a request that creates a policy, an alias, a vault or a part of a database is checked against
its name. A request about tags is checked against the tagged resource. A request that names a key by
its alias is checked against the key.
ministack: checks such requests against `*`, which only a policy for all resources allows, or
against the alias.
Here: as on AWS, with two exceptions. A change of an alias is checked against the alias only, not
its key. A request for several SSM parameters is checked against the first one. Remove once
ministack names the resources.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_actions
from ministack.core.responses import get_account_id
from ministack.services import kms

from local.emulator.requests import Request, read_call

# Names the resource from the request's path, body and parameters, as in ARNs after the account.
# A whole ARN is used as it is; an empty text means unknown.
Namer = Callable[[str, bytes, Mapping[str, Any]], str]

_RDS_NAMES = {
    "DBSubnetGroupName": "subgrp:",
    "DBClusterParameterGroupName": "cluster-pg:",
    "DBParameterGroupName": "pg:",
    "DBProxyEndpointName": "db-proxy-endpoint:",
    "DBProxyName": "db-proxy:",
}


# What has no region in its ARN.
_GLOBAL = {"iam": "iam:"}


def install() -> None:
    """Name the resources."""
    original = iam_actions.extract_resource_arn

    def extract(service: str, *request: Any) -> str:
        _method, path, _headers, body, parameters, region, account = request
        found = str(original(service, *request))
        if service == "kms":
            return _kms_arn(found, body, f"arn:aws:kms:{region}:{account}:")
        if service == "monitoring" and found == "*":
            return _metrics_arn(request)
        if found != "*" or service not in _NAMERS:
            return found
        name = _NAMERS[service](path, body, parameters)
        start = _GLOBAL.get(service, f"{service}:{region}")
        return name if name.startswith("arn:") else f"arn:aws:{start}:{account}:{name}"

    iam_actions.extract_resource_arn = extract


def _kms_arn(found: str, body: bytes, prefix: str) -> str:
    if alias := _field(body, "AliasName"):
        return f"{prefix}{alias}"
    key = kms._resolve_key(found) if found != "*" else None
    return str(key["Arn"]) if key else found


def _field(body: bytes, name: str) -> str:
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    return str(document.get(name, "")) if isinstance(document, dict) else ""


def _backup_name(path: str, _body: bytes, _parameters: Mapping[str, Any]) -> str:
    kinds = {
        r"/(?:un)?tags/(.+)": "",
        r"/backup-vaults/([^/]+)": "backup-vault:",
        r"/backup/plans/?([^/]*)": "backup-plan:",
    }
    for pattern, kind in kinds.items():
        if found := re.match(pattern, unquote(path)):
            return f"{kind}{found[1]}"
    return "*"


def _metrics_arn(request: Sequence[Any]) -> str:
    """The dashboard or alarm that a request names, in any of CloudWatch's protocols."""
    *_, region, account = request
    call = read_call(Request("monitoring", *request[:5]))
    for prefix, names in (
        (f"arn:aws:cloudwatch::{account}:dashboard/", ("DashboardName", "DashboardNames")),
        (f"arn:aws:cloudwatch:{region}:{account}:alarm:", ("AlarmName", "AlarmNames")),
    ):
        for name in names:
            if call and (found := call.parameters.get(name)):
                return f"{prefix}{found[0] if isinstance(found, list) else found}"
    return "*"


def _iam_name(_path: str, _body: bytes, parameters: Mapping[str, Any]) -> str:
    return f"policy/{iam_actions._query_param(parameters, 'PolicyName') or '*'}"


def _rds_name(_path: str, _body: bytes, parameters: Mapping[str, Any]) -> str:
    if arn := iam_actions._query_param(parameters, "ResourceName"):
        return str(arn)
    if name := iam_actions._query_param(parameters, "GlobalClusterIdentifier"):
        return f"arn:aws:rds::{get_account_id()}:global-cluster:{name}"
    for parameter, kind in _RDS_NAMES.items():
        if name := iam_actions._query_param(parameters, parameter):
            return f"{kind}{name}"
    return "*"


def _sns_name(_path: str, _body: bytes, parameters: Mapping[str, Any]) -> str:
    return str(iam_actions._query_param(parameters, "ResourceArn") or "*")


def _ssm_name(_path: str, body: bytes, _parameters: Mapping[str, Any]) -> str:
    names = json.loads(body).get("Names") or ["*"]
    return f"parameter/{names[0].lstrip('/')}"


_NAMERS: Mapping[str, Namer] = {
    "backup": _backup_name,
    "iam": _iam_name,
    "rds": _rds_name,
    "sns": _sns_name,
    "ssm": _ssm_name,
}
