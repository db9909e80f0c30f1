"""Calls to AWS from commands: each failure becomes one line for the user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from shared.cli.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

# All that boto3 raises: AWS refused the call, or the call never reached AWS.
AWS_ERRORS = (BotoCoreError, ClientError)
# For what a command can do without: it does not wait long for an answer.
BRIEFLY = Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 1})
# boto3 finds no usable credentials, so it sends no request.
_NO_CREDENTIALS = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)


@contextmanager
def answering(region: str, service: str = "AWS") -> Iterator[None]:
    """Turn a failed call to a service of AWS in a region into one line.

    Raises:
        UserError: a call inside the block failed.
    """
    try:
        yield
    except _NO_CREDENTIALS as error:
        raise UserError(
            f"credentials for AWS are needed: {error}. Set AWS_PROFILE or AWS_ACCESS_KEY_ID and "
            'AWS_SECRET_ACCESS_KEY; for the platform on this machine, run eval "$(make local-env)"'
        ) from None
    except AWS_ERRORS as error:
        raise UserError(f"{service} in {region} does not answer: {error}{_hint(error)}") from None


def _hint(error: Exception) -> str:
    if isinstance(error, EndpointConnectionError) and os.environ.get("AWS_ENDPOINT_URL"):
        return ". AWS_ENDPOINT_URL names it: if it is the platform on this machine, run `make up`"
    return ""


def find_stack(name: str, region: str) -> "StackTypeDef | None":
    """Describe a CloudFormation stack; None if it does not exist.

    CloudFormation has no error code for a missing stack, only a text: a ValidationError that ends
    with "does not exist".
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html

    Raises:
        UserError: CloudFormation does not answer.
    """
    with answering(region, "CloudFormation"):
        try:
            return boto3.client("cloudformation", region_name=region).describe_stacks(
                StackName=name
            )["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
