"""The environment's KMS key."""

import json

from constructs import Construct

from infra.bindings import KmsAlias, KmsKey
from infra.naming import key_alias


class Encryption(Construct):
    """One customer managed key, rotated each year, under `alias/trading-<region>-<environment>`."""

    def __init__(
        self, scope: Construct, id_: str, *, region: str, environment: str, account: str
    ) -> None:
        super().__init__(scope, id_)
        self.key = KmsKey(
            self,
            "key",
            description=f"Data at rest of the trading platform in {region}, {environment}",
            enable_key_rotation=True,
            deletion_window_in_days=7,
            policy=json.dumps(_key_policy(account)),
        )
        KmsAlias(self, "alias", name=key_alias(region, environment), target_key_id=self.key.key_id)


def _key_policy(account: str) -> dict[str, object]:
    # IAM policies of the account decide who uses the key, as in AWS's default key policy:
    # https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AccountAdministration",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
