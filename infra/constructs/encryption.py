"""The environment's KMS key."""

from constructs import Construct

from infra.config.naming import key_alias
from infra.constructs.iam import Statement, policy
from infra.constructs.resources import lifecycle
from infra.provider.bindings import AwsProvider, KmsAlias, KmsKey


class Encryption(Construct):
    """One customer managed key, rotated each year, under `alias/trading-<region>-<environment>`.

    It encrypts the database, the buckets, the secrets, the logs and the alarm topic. `provider` is
    for a key in another region than the stack's.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        region: str,
        environment: str,
        account: str,
        deletion_days: int,
        prevent_destroy: bool,
        provider: AwsProvider | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self.key = KmsKey(
            self,
            "key",
            provider=provider,
            description=f"Data at rest of the trading platform in {region}, {environment}",
            enable_key_rotation=True,
            deletion_window_in_days=deletion_days,
            policy=policy(
                *account_statements(account, region),
                _logs_statement(account, region),
                _alarms_statement(account),
            ),
            lifecycle=lifecycle(prevent_destroy=prevent_destroy),
        )
        KmsAlias(
            self,
            "alias",
            provider=provider,
            name=key_alias(region, environment),
            target_key_id=self.key.key_id,
        )


def account_statements(account: str, region: str) -> tuple[Statement, ...]:
    """What the account's own principals may do with a key, if their IAM policies allow it, too.

    AWS's default key policy gives the account `kms:*`. Here, administration and use are apart, and
    data is encrypted and decrypted through services of AWS in this region alone: nobody can
    decrypt a stolen ciphertext with the key itself.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
    """
    principal = {"AWS": f"arn:aws:iam::{account}:root"}
    return (
        {
            "Sid": "Administration",
            "Principal": principal,
            "Action": [
                "kms:CancelKeyDeletion",
                "kms:CreateAlias",
                "kms:DeleteAlias",
                "kms:DescribeKey",
                "kms:DisableKey",
                "kms:DisableKeyRotation",
                "kms:EnableKey",
                "kms:EnableKeyRotation",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:ListGrants",
                "kms:ListKeyPolicies",
                "kms:ListKeyRotations",
                "kms:ListResourceTags",
                "kms:PutKeyPolicy",
                "kms:RevokeGrant",
                "kms:RotateKeyOnDemand",
                "kms:ScheduleKeyDeletion",
                "kms:TagResource",
                "kms:UntagResource",
                "kms:UpdateAlias",
                "kms:UpdateKeyDescription",
            ],
            "Resource": "*",
        },
        {
            "Sid": "UseThroughServicesOfAws",
            "Principal": principal,
            "Action": ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
            "Resource": "*",
            "Condition": {"StringLike": {"kms:ViaService": f"*.{region}.amazonaws.com"}},
        },
        {
            # RDS, AWS Backup and Lambda keep using the key on a caller's behalf.
            "Sid": "GrantsToServicesOfAws",
            "Principal": principal,
            "Action": "kms:CreateGrant",
            "Resource": "*",
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    )


def _logs_statement(account: str, region: str) -> Statement:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    log_groups = f"arn:aws:logs:{region}:{account}:log-group:*"
    return {
        "Sid": "LogGroups",
        "Principal": {"Service": f"logs.{region}.amazonaws.com"},
        "Action": [
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey*",
            "kms:ReEncrypt*",
        ],
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": log_groups}},
    }


def _alarms_statement(account: str) -> Statement:
    # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
    return {
        "Sid": "AlarmsToEncryptedTopics",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
