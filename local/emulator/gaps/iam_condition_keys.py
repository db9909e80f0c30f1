"""Condition keys of requests to IAM, S3 and AWS Backup.

AWS: policies can test the policy that a request attaches (`iam:PolicyARN`), the role's current or
new boundary (`iam:PermissionsBoundary`), the KMS key of a write to S3
(`s3:x-amz-server-side-encryption-aws-kms-key-id`), and the tags of vaults and backup plans.
ministack: sets none of these keys.
Here: all are set. Remove once ministack sets them.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core import iam_actions
from ministack.services import iam, s3, tagging

_KMS_KEY = "x-amz-server-side-encryption-aws-kms-key-id"
_BACKUP_TAGS = ("BackupPlanTags", "BackupVaultTags")


def install() -> None:
    """Set the keys."""
    _of_iam_and_backup()
    _of_s3()
    tagging._RESOURCE_TAG_COLLECTORS["backup"] = tagging._collect_backup


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


def _of_iam_and_backup() -> None:
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
        if service == "backup" and body.startswith(b"{"):
            document = json.loads(body)
            tags = {k: v for name in _BACKUP_TAGS for k, v in document.get(name, {}).items()}
            keys.update({f"aws:requesttag/{key}".lower(): value for key, value in tags.items()})
            keys.update({"aws:TagKeys": list(tags)} if tags else {})
        return keys

    iam_actions.request_tag_context = context
