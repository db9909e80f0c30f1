"""Private buckets."""

from constructs import Construct

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


class Storage(Construct):
    """A private, versioned bucket, encrypted under the environment's key.

    Its objects expire `expiration_days` after they were written, if that is given; what was
    replaced or deleted can be restored for `noncurrent_days`. Access to it is logged in
    `log_bucket`, if that is given. A log bucket takes the logs of all buckets of the account
    `takes_logs_of`.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        bucket_name: str,
        key_arn: str,
        noncurrent_days: int,
        expiration_days: int | None = None,
        log_bucket: S3Bucket | None = None,
        takes_logs_of: str | None = None,
        prevent_destroy: bool = False,
    ) -> None:
        super().__init__(scope, id_)
        self.bucket = S3Bucket(
            self,
            "bucket",
            bucket=bucket_name,
            force_destroy=not prevent_destroy,
            lifecycle=lifecycle(prevent_destroy=prevent_destroy),
        )
        statements = [_deny_plain_http(self.bucket.arn)]
        if takes_logs_of:
            # S3 delivers access logs to no bucket with another key than its own.
            # https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
            self._encrypt("AES256", None)
            statements.append(_take_access_logs(self.bucket.arn, takes_logs_of))
        else:
            self._encrypt("aws:kms", key_arn)
            statements += _deny_other_encryption(self.bucket.arn, key_arn)
        self._restrict_access(policy(*statements))
        self._keep_versions(noncurrent_days, expiration_days)
        if log_bucket:
            S3BucketLoggingA(
                self,
                "logging",
                bucket=self.bucket.id,
                target_bucket=log_bucket.id,
                target_prefix=f"{id_}/",
            )
        self._accept_findings(logged=log_bucket is not None, logs=takes_logs_of is not None)

    def _restrict_access(self, bucket_policy: str) -> None:
        block = S3BucketPublicAccessBlock(
            self,
            "public-access-block",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        # Objects belong to the bucket's owner, and access lists have no effect.
        S3BucketOwnershipControls(
            self,
            "ownership",
            bucket=self.bucket.id,
            rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
        )
        S3BucketPolicy(
            self,
            "policy",
            bucket=self.bucket.id,
            policy=bucket_policy,
            # S3 refuses a change of the policy while it changes the block.
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

    def _keep_versions(self, noncurrent_days: int, expiration_days: int | None) -> None:
        versioning = S3BucketVersioningA(
            self,
            "versioning",
            bucket=self.bucket.id,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        # An expiration by days also removes the delete markers that have nothing left behind them.
        expiration = (
            S3BucketLifecycleConfigurationRuleExpiration(days=expiration_days)
            if expiration_days
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
                            noncurrent_days=noncurrent_days
                        )
                    ],
                    abort_incomplete_multipart_upload=[
                        S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
                            days_after_initiation=_MULTIPART_DAYS
                        )
                    ],
                )
            ],
            # What is not current can expire only where there are versions.
            depends_on=[versioning],
        )

    def _accept_findings(self, *, logged: bool, logs: bool) -> None:
        accept(
            self.bucket,
            "CKV_AWS_144",
            "each region keeps its own data; what must outlive a region is in the backups' copy",
        )
        accept(self.bucket, "CKV2_AWS_62", "nothing consumes events of this bucket")
        if logs:
            accept(self.bucket, "CKV_AWS_145", "S3 delivers access logs under its own key only")
        elif not logged:
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
    # An upload that asks for nothing gets the bucket's default, and one that asks for something
    # else is refused. A missing header would count as different: hence the Null conditions.
    return [
        {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"{bucket_arn}/*",
            "Condition": {"Null": {header: "false"}, "StringNotEquals": {header: value}},
        }
        for sid, header, value in (
            ("DenyOtherEncryption", _SSE_HEADER, "aws:kms"),
            ("DenyOtherKeys", _KEY_HEADER, key_arn),
        )
    ]


def _take_access_logs(bucket_arn: str, account: str) -> Statement:
    return {
        "Sid": "AccessLogs",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"{bucket_arn}/*",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }
