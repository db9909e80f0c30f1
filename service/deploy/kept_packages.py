"""Packages of earlier releases, kept in the artifact bucket so that they can be released again.

They lie under the same prefix as the code that they name, and go when the service is removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from shared.cli.aws import answering

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

# How many releases a rollback can go back to.
KEPT = 20


@dataclass(frozen=True)
class Package:
    """What it takes to release something again without its source.

    `build` is the digest of what was built. `parameters` are the template's as they were given.
    `template` is the one that CloudFormation got: it names the functions' code in the bucket.
    `migrations` are the names of the release's migrations, `words` the words of its code that may
    be columns. Packages of older tools have neither.
    """

    build: str
    parameters: Mapping[str, str]
    template: str
    migrations: Sequence[str] = ()
    words: Sequence[str] = ()


def kept_versions(stack: str, bucket: str, region: str) -> set[int]:
    """The versions whose packages are kept.

    Raises:
        UserError: AWS does not answer.
    """
    with answering(region):
        s3 = boto3.client("s3", region_name=region)
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{stack}/releases/")
    return {int(Path(each["Key"]).stem) for each in listed.get("Contents", [])}


def keep_package(stack: str, bucket: str, region: str, version: int, package: Package) -> None:
    """Keep the package of what is deployed under its version, and delete the oldest packages.

    Raises:
        UserError: AWS does not answer.
    """
    versions = sorted({*kept_versions(stack, bucket, region), version})
    old: list[ObjectIdentifierTypeDef] = [{"Key": _key(stack, each)} for each in versions[:-KEPT]]
    with answering(region):
        s3 = boto3.client("s3", region_name=region)
        body = json.dumps(asdict(package)).encode()
        s3.put_object(Bucket=bucket, Key=_key(stack, version), Body=body)
        if old:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": old})


def load_package(stack: str, bucket: str, region: str, version: int) -> Package:
    """The package of a version.

    Raises:
        UserError: AWS does not answer.
    """
    with answering(region):
        s3 = boto3.client("s3", region_name=region)
        answer = s3.get_object(Bucket=bucket, Key=_key(stack, version))
        return Package(**json.loads(answer["Body"].read()))


def _key(stack: str, version: int) -> str:
    return f"{stack}/releases/{version}.json"
