"""The encryption key of an upload to S3.

AWS: a write has the condition key `s3:x-amz-server-side-encryption-aws-kms-key-id`.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html
ministack: sets `s3:x-amz-server-side-encryption` only.
Here: both are set. Remove once ministack sets both.
"""

from __future__ import annotations

from typing import Any

from ministack.core import iam_actions
from ministack.services import s3

_HEADER = "x-amz-server-side-encryption-aws-kms-key-id"


def install() -> None:
    """Set the condition key; all parts of an upload get that of its first request."""
    original = iam_actions.s3_service_context

    def context(
        action: str, query_params: Any, path: str = "", headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        found: dict[str, Any] = dict(original(action, query_params, path, headers))
        if action == "s3:PutObject":
            upload_id = iam_actions._query_param(query_params or {}, "uploadId")
            upload = s3._multipart_uploads.get(upload_id) if upload_id else None
            asked = upload["preserved_headers"] if upload else headers or {}
            if key := asked.get(_HEADER):
                found[f"s3:{_HEADER}"] = key
        return found

    iam_actions.s3_service_context = context
