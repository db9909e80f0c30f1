"""The bare INSERT with a password that boto3 reads, to show what boto3 costs a cold start."""

from __future__ import annotations

import json
import os
from typing import Any

import boto3

from benchmarks.contenders import bare


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Insert a trade with the request's key."""
    client = boto3.client("secretsmanager")
    answer = client.get_secret_value(SecretId=os.environ["DATABASE_APP_SECRET_ARN"])
    os.environ["DATABASE_PASSWORD"] = json.loads(answer["SecretString"])["password"]
    return bare.handler(event, context)
