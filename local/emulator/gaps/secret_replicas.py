"""Replicas of secrets.

AWS: CreateSecret creates the requested replicas, and RemoveRegionsFromReplication removes them.
ministack: CreateSecret ignores replicas, and nothing removes a single replica.
Here: as on AWS. Remove once ministack does the same.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from ministack import app
from ministack.core.responses import get_account_id, json_response
from ministack.services import secretsmanager


def install() -> None:
    """Replicate new secrets, and remove replicas."""
    secretsmanager._create_secret = _replicating(secretsmanager._create_secret)
    app.SERVICE_HANDLERS["secretsmanager"] = _removing(app.SERVICE_HANDLERS["secretsmanager"])


def _replicating(original: Any) -> Any:
    def create(data: dict[str, Any]) -> Any:
        response = original(data)
        if response[0] == HTTPStatus.OK and data.get("AddReplicaRegions"):
            replicated = secretsmanager._replicate_secret_to_regions(
                {**data, "SecretId": data["Name"]}
            )
            if replicated[0] != HTTPStatus.OK:
                return replicated
        return response

    return create


def _removing(original: Any) -> Any:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        if headers.get("x-amz-target", "").endswith(".RemoveRegionsFromReplication"):
            return _remove(json.loads(body))
        return await original(method, path, headers, body, query)

    return handle


def _remove(data: dict[str, Any]) -> Any:
    _, secret = secretsmanager._resolve(data["SecretId"])
    removed = data["RemoveReplicaRegions"]
    statuses = secret["ReplicationStatus"]
    secret["ReplicationStatus"] = [s for s in statuses if s["Region"] not in removed]
    for region in removed:
        secretsmanager._secrets.pop_scoped(get_account_id(), region, secret["Name"], None)
    return json_response({"ARN": secret["ARN"], "ReplicationStatus": secret["ReplicationStatus"]})
