"""The resources that IAM policies are compared with.

AWS: a request to make a policy, an alias or a part of a database is for the one that it names.
ministack: such requests are for `*`, which only a policy for all resources allows.
Here: as on AWS. An alias is looked at instead of its key, though AWS looks at both. Droppable once
ministack names them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ministack.core import iam_actions

# Parameter that names the resource, and how its ARN goes on after the service.
_QUERY = {
    "iam": (("PolicyName", "policy/"),),
    "rds": (
        ("DBSubnetGroupName", "subgrp:"),
        ("DBClusterParameterGroupName", "cluster-pg:"),
        ("DBParameterGroupName", "pg:"),
        ("DBProxyName", "db-proxy:"),
    ),
}


def install() -> None:
    """Name the resources."""
    original = iam_actions.extract_resource_arn

    def extract(service: str, *request: Any) -> str:
        _method, _path, _headers, body, parameters, region, account = request
        if service == "kms" and (alias := _json(body).get("AliasName")):
            return f"arn:aws:kms:{region}:{account}:{alias}"
        found = str(original(service, *request))
        if found != "*" or service not in _QUERY:
            return found
        if arn := iam_actions._query_param(parameters, "ResourceName"):
            return str(arn)
        place = "" if service == "iam" else region
        for parameter, kind in _QUERY[service]:
            if name := iam_actions._query_param(parameters, parameter):
                return f"arn:aws:{service}:{place}:{account}:{kind}{name}"
        return "*"

    iam_actions.extract_resource_arn = extract


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
