"""The resources that IAM policies are compared with.

AWS: a request to make a policy, an alias, a vault or a part of a database is for the one that it
names, one about tags is for what has the tags, and one that names a key by its alias is for the
key.
ministack: such requests are for `*`, which only a policy for all resources allows, or the alias.
Here: as on AWS, but that a change of an alias is for the alias alone, and not for its key as well.
Droppable once ministack names them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from ministack.core import iam_actions
from ministack.services import kms

# Names the resource from the request's path, body and parameters, as in ARNs after the account.
# A whole ARN stands for itself, and an empty text for what is not known.
Namer = Callable[[str, bytes, Mapping[str, Any]], str]

_RDS_NAMES = {
    "DBSubnetGroupName": "subgrp:",
    "DBClusterParameterGroupName": "cluster-pg:",
    "DBParameterGroupName": "pg:",
    "DBProxyName": "db-proxy:",
}


def install() -> None:
    """Name the resources."""
    original = iam_actions.extract_resource_arn

    def extract(service: str, *request: Any) -> str:
        _method, path, _headers, body, parameters, region, account = request
        found = str(original(service, *request))
        if service == "kms":
            return _kms_arn(found, body, f"arn:aws:kms:{region}:{account}:")
        if found != "*" or service not in _NAMERS:
            return found
        name = _NAMERS[service](path, body, parameters)
        place = "" if service == "iam" else region
        return name if name.startswith("arn:") else f"arn:aws:{service}:{place}:{account}:{name}"

    iam_actions.extract_resource_arn = extract


def _kms_arn(found: str, body: bytes, prefix: str) -> str:
    try:
        request = json.loads(body)
    except ValueError:
        return found
    if "AliasName" in request:
        return f"{prefix}{request['AliasName']}"
    key = kms._resolve_key(found) if found != "*" else None
    return str(key["Arn"]) if key else found


def _backup_name(path: str, _body: bytes, _parameters: Mapping[str, Any]) -> str:
    kinds = {
        r"/(?:un)?tags/(.+)": "",
        r"/backup-vaults/([^/]+)": "backup-vault:",
        r"/backup/plans/([^/]+)": "backup-plan:",
    }
    for pattern, kind in kinds.items():
        if found := re.match(pattern, unquote(path)):
            return f"{kind}{found[1]}"
    return "*"


def _iam_name(_path: str, _body: bytes, parameters: Mapping[str, Any]) -> str:
    return f"policy/{iam_actions._query_param(parameters, 'PolicyName') or '*'}"


def _rds_name(_path: str, _body: bytes, parameters: Mapping[str, Any]) -> str:
    if arn := iam_actions._query_param(parameters, "ResourceName"):
        return str(arn)
    for parameter, kind in _RDS_NAMES.items():
        if name := iam_actions._query_param(parameters, parameter):
            return f"{kind}{name}"
    return "*"


def _sns_name(_path: str, _body: bytes, parameters: Mapping[str, Any]) -> str:
    return str(iam_actions._query_param(parameters, "ResourceArn") or "*")


_NAMERS: Mapping[str, Namer] = {
    "backup": _backup_name,
    "iam": _iam_name,
    "rds": _rds_name,
    "sns": _sns_name,
}
