"""Condition keys of requests to IAM and S3.

AWS: policies can test the policy that a request attaches (`iam:PolicyARN`), the role's current or
new boundary (`iam:PermissionsBoundary`), and the KMS key of a write to S3
(`s3:x-amz-server-side-encryption-aws-kms-key-id`).
ministack: sets none of these keys.
Here: all three are set. Remove once ministack sets them.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions
from ministack.services import iam, s3

_KMS_KEY = "x-amz-server-side-encryption-aws-kms-key-id"


def install() -> None:
    """Set the keys."""
    _of_iam()
    _of_s3()


def _of_s3() -> None:
    original = iam_actions._s3_object_context

    def context(action: str, query: dict[str, Any], path: str, headers: dict[str, str]) -> Any:
        keys = original(action, query, path, headers)
        # Parts of an upload carry no headers, so use those of the request that started it.
        upload = s3._multipart_uploads.get(iam_actions._query_param(query, "uploadId"))
        encryption = upload["preserved_headers"] if upload else headers
        if action == "s3:PutObject" and (key := encryption.get(_KMS_KEY)):
            keys[f"s3:{_KMS_KEY}"] = key
        return keys

    iam_actions._s3_object_context = context


def _of_iam() -> None:
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
