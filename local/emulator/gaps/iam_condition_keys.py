"""Condition keys of requests to IAM.

AWS: policies may look at the policy that a request attaches (`iam:PolicyARN`), and at the boundary
that the role has or gets (`iam:PermissionsBoundary`).
ministack: requests have neither key.
Here: they have both. Remove once ministack sets them.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions
from ministack.services import iam


def install() -> None:
    """Set the keys."""
    original = iam_actions.request_tag_context

    def context(service: str, action: str, body: bytes, parameters: dict[str, Any]) -> Any:
        keys = dict(original(service, action, body, parameters))
        if service == "iam":
            role = iam._roles.get(iam_actions._query_param(parameters, "RoleName")) or {}
            boundary = iam_actions._query_param(parameters, "PermissionsBoundary")
            found = {
                "iam:PolicyARN": iam_actions._query_param(parameters, "PolicyArn"),
                "iam:PermissionsBoundary": boundary or role.get("PermissionsBoundary"),
            }
            keys.update({key: value for key, value in found.items() if value})
        return keys

    iam_actions.request_tag_context = context
