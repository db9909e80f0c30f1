"""Packages of earlier releases, kept in the artifact bucket so that they can be released again.

They lie under the same prefix as the code that they name, and go when the service is removed.
The description of a release's version has the digest of its package. Lambda never changes the
description of a version, so nobody who can only write to the bucket changes what a rollback
deploys.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import boto3

from service.deploy.history import Release
from service.deploy.packaging import check_code
from shared.cli.aws import answering
from shared.cli.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

# How many releases a rollback can go back to.
KEPT = 20


@dataclass(frozen=True)
class Package:
    """What it takes to release something again without its source.

    `build` is the digest of what was built. `parameters` are the template's as they were given.
    `template` names the version of each object in the bucket that holds code, and `code` has the
    SHA-256 of each object. `migrations` are the names of the release's migrations, `words` the
    words of its code that may be columns. Packages of older tools have some of this only.
    """

    build: str
    parameters: Mapping[str, str]
    template: str
    migrations: Sequence[str] = ()
    words: Sequence[str] = ()
    code: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The package as it is kept."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of the package as it is kept, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def kept_versions(stack: str, bucket: str, region: str) -> set[int]:
    """The versions whose packages are kept.

    Raises:
        UserError: AWS does not answer.
    """
    with answering(region):
        s3 = boto3.client("s3", region_name=region)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=_folder(stack))
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
    # Other names are not from a release.
    named = re.compile(re.escape(_folder(stack)) + r"([1-9][0-9]*)\.json")
    return {int(match[1]) for key in keys if (match := named.fullmatch(key))}


def keep_package(stack: str, bucket: str, region: str, version: int, package: Package) -> None:
    """Keep the package of what is deployed under its version, and delete the oldest packages.

    What lies under a later version is no package of a release, and takes no other's place.

    Raises:
        UserError: AWS does not answer.
    """
    earlier = {each for each in kept_versions(stack, bucket, region) if each < version}
    versions = [*sorted(earlier), version]
    old: list[ObjectIdentifierTypeDef] = [{"Key": _file(stack, each)} for each in versions[:-KEPT]]
    with answering(region):
        s3 = boto3.client("s3", region_name=region)
        s3.put_object(Bucket=bucket, Key=_file(stack, version), Body=package.content)
        if old:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": old})


def read_package(stack: str, bucket: str, region: str, version: int) -> Package:
    """The package of a version as the bucket has it: to look at, not to deploy.

    Raises:
        UserError: it is no package, or AWS does not answer.
    """
    content = _content(stack, bucket, region, version)
    try:
        return Package(**json.loads(content))
    except (TypeError, ValueError):
        raise UserError(
            f"s3://{bucket}/{_file(stack, version)} is no package of a release: find out who wrote "
            "it, and delete it"
        ) from None


def released_package(stack: str, bucket: str, region: str, release: Release) -> Package:
    """The package of a release, after a comparison with what was released.

    Raises:
        UserError: the package or the code that it names is not what was released, or AWS does not
            answer.
    """
    name = f"the package of version {release.version}"
    if not release.origin.package:
        raise UserError(f"{name} has no checksum: release its commit again from the source")
    content = _content(stack, bucket, region, release.version)
    if hashlib.sha256(content).hexdigest() != release.origin.package:
        raise UserError(
            f"{name} is not what was released: somebody has changed it in {bucket}; find out who, "
            "and release its commit again from the source"
        )
    package = Package(**json.loads(content))
    check_code(package.template, package.code, region)
    return package


def _content(stack: str, bucket: str, region: str, version: int) -> bytes:
    with answering(region):
        s3 = boto3.client("s3", region_name=region)
        return s3.get_object(Bucket=bucket, Key=_file(stack, version))["Body"].read()


def _file(stack: str, version: int) -> str:
    return f"{_folder(stack)}{version}.json"


def _folder(stack: str) -> str:
    return f"{stack}/releases/"
