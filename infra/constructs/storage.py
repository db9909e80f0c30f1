"""Private buckets."""

from collections.abc import Mapping
from dataclasses import dataclass

from constructs import Construct

from infra.config.place import Place
from infra.constructs.iam import Statement, policy
from infra.constructs.resources import accept, lifecycle
from infra.provider.bindings import (
    S3Bucket,
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
    S3BucketLoggingA,
    S3BucketOwnershipControls,
    S3BucketOwnershipControlsRule,
    S3BucketPolicy,
    S3BucketPublicAccessBlock,
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
    S3BucketVersioningA,
    S3BucketVersioningVersioningConfiguration,
)

_MULTIPART_DAYS = 7
_SSE_HEADER = "s3:x-amz-server-side-encryption"
_KEY_HEADER = "s3:x-amz-server-side-encryption-aws-kms-key-id"


@dataclass(frozen=True)
class Retention:
    """How many days a bucket keeps its objects, and what was replaced or deleted of them.

    Without `expiration_days`, current objects stay until somebody deletes them.
    """

    noncurrent_days: int
    expiration_days: int | None = None


class Bucket(Construct):
    """A private, versioned bucket that only accepts TLS: the base of the two kinds of bucket."""

    def __init__(
        self, scope: Construct, id_: str, *, bucket_name: str, prevent_destroy: bool
    ) -> None:
        super().__init__(scope, id_)
        self.bucket = S3Bucket(
            self,
            "bucket",
            bucket=bucket_name,
            force_destroy=not prevent_destroy,
            lifecycle=lifecycle(prevent_destroy=prevent_destroy),
        )

    def _restrict_access(self, bucket_policy: str) -> S3BucketPolicy:
        block = S3BucketPublicAccessBlock(
            self,
            "public-access-block",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        # The bucket's owner owns all objects, and access control lists have no effect.
        S3BucketOwnershipControls(
            self,
            "ownership",
            bucket=self.bucket.id,
            rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
        )
        return S3BucketPolicy(
            self,
            "policy",
            bucket=self.bucket.id,
            policy=bucket_policy,
            # S3 refuses to change the policy while it changes the block.
            depends_on=[block],
        )

    def _encrypt(self, algorithm: str, key_arn: str | None) -> None:
        S3BucketServerSideEncryptionConfigurationA(
            self,
            "encryption",
            bucket=self.bucket.id,
            rule=[
                S3BucketServerSideEncryptionConfigurationRuleA(
                    # One data key per bucket and hour rather than one KMS request per object.
                    bucket_key_enabled=key_arn is not None,
                    apply_server_side_encryption_by_default=(
                        S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                            sse_algorithm=algorithm, kms_master_key_id=key_arn
                        )
                    ),
                )
            ],
        )

    def _keep_versions(self, retention: Retention) -> None:
        versioning = S3BucketVersioningA(
            self,
            "versioning",
            bucket=self.bucket.id,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        # An expiration by days also removes delete markers without older versions.
        expiration = (
            S3BucketLifecycleConfigurationRuleExpiration(days=retention.expiration_days)
            if retention.expiration_days
            else S3BucketLifecycleConfigurationRuleExpiration(expired_object_delete_marker=True)
        )
        S3BucketLifecycleConfiguration(
            self,
            "lifecycle",
            bucket=self.bucket.id,
            rule=[
                S3BucketLifecycleConfigurationRule(
                    id="clean-up",
                    status="Enabled",
                    filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
                    expiration=[expiration],
                    noncurrent_version_expiration=[
                        S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(
                            noncurrent_days=retention.noncurrent_days
                        )
                    ],
                    abort_incomplete_multipart_upload=[
                        S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
                            days_after_initiation=_MULTIPART_DAYS
                        )
                    ],
                )
            ],
            # Only a versioned bucket has noncurrent versions that can expire.
            depends_on=[versioning],
        )

    def _accept_findings(self) -> None:
        accept(
            self.bucket,
            "CKV_AWS_144",
            "each region keeps its own data; what must outlive a region is in the backups' copy",
        )
        accept(self.bucket, "CKV2_AWS_62", "nothing consumes events of this bucket")


class AccessLogs(Bucket):
    """A bucket that takes the access logs of all buckets of the account."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        retention: Retention,
        prevent_destroy: bool,
    ) -> None:
        super().__init__(
            scope, id_, bucket_name=place.bucket_name("logs"), prevent_destroy=prevent_destroy
        )
        # S3 delivers access logs to no bucket with another key than its own.
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
        self._encrypt("AES256", None)
        self.policy = self._restrict_access(
            policy(
                _deny_plain_http(self.bucket.arn),
                _take_access_logs(self.bucket.arn, place.account),
            )
        )
        self._keep_versions(retention)
        self._accept_findings()
        accept(self.bucket, "CKV_AWS_145", "S3 delivers access logs under its own key only")


class Storage(Bucket):
    """A bucket that is encrypted under the environment's key.

    With `access_logs`, each access is logged there.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        bucket_name: str,
        key_arn: str,
        retention: Retention,
        access_logs: AccessLogs | None = None,
        prevent_destroy: bool = False,
    ) -> None:
        super().__init__(scope, id_, bucket_name=bucket_name, prevent_destroy=prevent_destroy)
        arn = self.bucket.arn
        self._encrypt("aws:kms", key_arn)
        self._restrict_access(policy(_deny_plain_http(arn), *_deny_other_encryption(arn, key_arn)))
        self._keep_versions(retention)
        if access_logs:
            S3BucketLoggingA(
                self,
                "logging",
                bucket=self.bucket.id,
                target_bucket=access_logs.bucket.id,
                target_prefix=f"{id_}/",
                # S3 only accepts a target whose policy lets it deliver logs.
                # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
                depends_on=[access_logs.policy],
            )
        self._accept_findings()
        if not access_logs:
            accept(
                self.bucket,
                "CKV_AWS_18",
                "access logs are an option, storage.access_logging, that production has",
            )


def _deny_plain_http(bucket_arn: str) -> Statement:
    return {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _deny_other_encryption(bucket_arn: str, key_arn: str) -> list[Statement]:
    # An upload without a header gets the bucket's default encryption; one that asks for something
    # else is refused. The Null conditions are needed because a missing header counts as different.
    # One that asks for KMS and names no key would get AWS's own key for S3.
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/specifying-kms-encryption.html
    return [
        {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"{bucket_arn}/*",
            "Condition": condition,
        }
        for sid, condition in (
            ("DenyOtherEncryption", _given_but_not(_SSE_HEADER, "aws:kms")),
            ("DenyOtherKeys", _given_but_not(_KEY_HEADER, key_arn)),
            ("DenyUnnamedKey", {"Null": {_SSE_HEADER: "false", _KEY_HEADER: "true"}}),
        )
    ]


def _given_but_not(header: str, value: str) -> Mapping[str, object]:
    return {"Null": {header: "false"}, "StringNotEquals": {header: value}}


def _take_access_logs(bucket_arn: str, account: str) -> Statement:
    return {
        "Sid": "AccessLogs",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"{bucket_arn}/*",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
