"""Database credentials from Secrets Manager."""

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credentials:
    """A database user; the password is left out of `repr`, and so of logs."""

    username: str
    password: str = field(repr=False)


def fetch_credentials(secret_arn: str) -> Credentials:
    """Read the current version of a secret with `username` and `password`.

    Raises:
        botocore.exceptions.ClientError: Secrets Manager refused, for instance for want of rights.
    """
    # boto3 takes a quarter of a second to import: only a new connection pays for it.
    import boto3

    answer = boto3.client("secretsmanager").get_secret_value(SecretId=secret_arn)
    value = json.loads(answer["SecretString"])
    return Credentials(value["username"], value["password"])
