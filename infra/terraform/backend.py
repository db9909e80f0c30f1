"""The arguments of `terraform init` that depend on the account: where the state is."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

from infra.config.environment import EnvironmentConfig
from infra.config.naming import state_bucket_name, state_key_alias
from shared.cli.aws import AWS_ERRORS, answering
from shared.cli.errors import UserError
from shared.naming import stack_name


def backend_arguments(environment: EnvironmentConfig, region: str) -> Sequence[str]:
    """Arguments for `terraform init` of a stack in a region; none if states are kept locally.

    Raises:
        UserError: there is no state bucket yet, or the credentials may not use it.
    """
    if not environment.remote_state:
        return ()
    return [f"-backend-config={name}={value}" for name, value in backend_settings(region).items()]


def backend_settings(region: str) -> Mapping[str, str]:
    """The settings of the S3 backend that depend on the account.

    Raises:
        UserError: there is no state bucket yet, or the credentials may not use it.
    """
    account = account_id(region)
    if not state_bucket_exists(region, account):
        raise UserError(
            f"there is no state bucket in {region} for the account {account}: "
            "run `make bootstrap-state` first, or keep the state on this machine with STATE=local"
        )
    # Without the key, Terraform asks for AES256, which the bucket refuses.
    return {"bucket": state_bucket_name(region, account), "kms_key_id": _state_key_arn(region)}


def stack_folder(environment: EnvironmentConfig, region: str) -> Path:
    """The folder of a region's synthesized data platform."""
    return environment.out_dir / "stacks" / stack_name(region, environment.suffix)


def account_id(region: str) -> str:
    """The number of the AWS account that the credentials belong to.

    Raises:
        UserError: there are no credentials, or AWS does not accept them.
    """
    with answering(region, "STS"):
        return boto3.client("sts", region_name=region).get_caller_identity()["Account"]


def state_bucket_exists(region: str, account: str) -> bool:
    """Whether the account has a state bucket in the region.

    Raises:
        UserError: the bucket belongs to another account, or the credentials may not use it.
    """
    bucket = state_bucket_name(region, account)
    s3 = boto3.client("s3", region_name=region)
    try:
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return False
        raise UserError(f"the state bucket {bucket} cannot be used: {error}") from None
    return True


def _state_key_arn(region: str) -> str:
    kms = boto3.client("kms", region_name=region)
    try:
        key = kms.describe_key(KeyId=state_key_alias(region))
    except AWS_ERRORS as error:
        raise UserError(f"the key of the state bucket cannot be used: {error}") from None
    return key["KeyMetadata"]["Arn"]
