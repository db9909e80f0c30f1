"""The environment's KMS key."""

from constructs import Construct

from infra.config.options import ProtectionConfig
from infra.config.place import Place
from infra.constructs.iam import Statement, policy
from infra.constructs.resources import lifecycle
from infra.provider.bindings import AwsProvider, KmsAlias, KmsKey


class Encryption(Construct):
    """One customer managed key, rotated every year: `alias/trading-<region>-<environment>`.

    It encrypts the database, the buckets, the secrets, the logs and the alarm topic. Pass a
    `provider` if the place is in another region than the stack.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        protection: ProtectionConfig,
        provider: AwsProvider | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self.key = KmsKey(
            self,
            "key",
            provider=provider,
            description=(
                f"Data at rest of the trading platform in {place.region}, {place.environment}"
            ),
            enable_key_rotation=True,
            deletion_window_in_days=protection.key_deletion_days,
            policy=policy(
                *account_statements(place.account, place.region),
                _logs_statement(place),
                _alarms_statement(place.account),
            ),
            lifecycle=lifecycle(prevent_destroy=protection.prevent_destroy),
        )
        KmsAlias(
            self,
            "alias",
            provider=provider,
            name=place.key_alias(),
            target_key_id=self.key.key_id,
        )


def account_statements(account: str, region: str) -> tuple[Statement, ...]:
    """What the account's own principals may do with a key if their IAM policies also allow it.

    AWS's default key policy grants `kms:*` to the account. This one separates administration from
    use, and only lets AWS services of this region encrypt and decrypt: nobody can decrypt a stolen
    ciphertext by calling KMS.
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
            # RDS, AWS Backup and Lambda go on using the key on behalf of the caller.
            "Sid": "GrantsToServicesOfAws",
            "Principal": principal,
            "Action": "kms:CreateGrant",
            "Resource": "*",
            "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        },
    )


def _logs_statement(place: Place) -> Statement:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    log_groups = place.arn("logs", "log-group:*")
    return {
        "Sid": "LogGroups",
        "Principal": {"Service": f"logs.{place.region}.amazonaws.com"},
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
