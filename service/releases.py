"""The releases of the service in a region: which there were, which is live, which can come back.

A release is a version of the trade function. The version's description says what it was made of.
What it takes to release it again, its package, is kept in the artifact bucket.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from service.deployed import DeployedStack
from shared.errors import UserError
from shared.table import table

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

# How many releases are listed, and can be gone back to.
KEPT = 20

ALIAS = "live"
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Origin:
    """What a release was made of, as its version's description has it.

    `released` is a time of UTC. `restores` is the version whose package it has, if not its own.
    """

    commit: str = _UNKNOWN
    contract: str = _UNKNOWN
    released: str = _UNKNOWN
    restores: int | None = None

    def __str__(self) -> str:
        restores = f" restores={self.restores}" if self.restores else ""
        return f"commit={self.commit} contract={self.contract} released={self.released}{restores}"

    @classmethod
    def parse(cls, description: str) -> Origin:
        """What a description says; a version that somebody has published by hand says nothing."""
        said = dict(word.split("=", 1) for word in description.split() if "=" in word)
        known = {name: said[name] for name in ("commit", "contract", "released") if name in said}
        restores = said.get("restores", "")
        return cls(**known, restores=int(restores) if restores.isdecimal() else None)

    @classmethod
    def now(cls, commit: str, contract: str, restores: int | None = None) -> Origin:
        """Of a release that is about to start."""
        return cls(commit, contract, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), restores)


@dataclass(frozen=True)
class Release:
    """A version, the percentage of calls that it gets, and whether its package is kept."""

    version: int
    traffic: int
    origin: Origin
    kept: bool

    @property
    def first(self) -> int:
        """The version that first had this release's package."""
        return self.origin.restores or self.version


@dataclass(frozen=True)
class Package:
    """What it takes to release something again, without its source and without a build.

    `build` is the digest of what was built, `parameters` are the template's as they were given, and
    `template` is CloudFormation's, which names the packages of the functions in the bucket.
    """

    build: str
    parameters: Mapping[str, str]
    template: str


def source_commit(folder: Path) -> str:
    """The git commit of a folder, with `-dirty` if something in it differs from the commit.

    Without git, or outside a repository, there is none: `unknown`.
    """
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--", ".")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return _UNKNOWN
    return f"{commit}-dirty" if changes else commit


def list_releases(stack: DeployedStack, bucket: str, region: str) -> list[Release]:
    """The latest releases, the newest first.

    Raises:
        UserError: AWS does not answer.
    """
    function = stack.outputs["LambdaFunctionName"]
    with _answers(f"AWS in {region}"):
        client = boto3.client("lambda", region_name=region)
        pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
        described = {
            int(each["Version"]): each.get("Description", "")
            for page in pages
            for each in page["Versions"]
            if each["Version"] != "$LATEST"
        }
        alias = client.get_alias(FunctionName=function, Name=ALIAS)
    # While CodeDeploy moves callers, the alias names the old version and the share of the new one.
    shares = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    traffic = {int(version): round(100 * share) for version, share in shares.items()}
    traffic[int(alias["FunctionVersion"])] = 100 - sum(traffic.values())
    kept = _kept_versions(stack.name, bucket, region)
    return [
        Release(version, traffic.get(version, 0), Origin.parse(described[version]), version in kept)
        for version in sorted(described, reverse=True)[:KEPT]
    ]


def live_release(releases: Sequence[Release]) -> Release:
    """The release that most calls go to."""
    return max(releases, key=lambda release: release.traffic)


def release_to_restore(stack: str, releases: Sequence[Release], to: str) -> Release:
    """The release that a rollback goes to: the version `to`, or without it the one before.

    Before a release that is itself a rollback comes what was before the release that it restored:
    one rollback after another goes further back, and never forward again.

    Raises:
        UserError: there is no such release, it is live, or its package is not kept.
    """
    live = live_release(releases)
    if not to:
        earlier = [
            r for r in releases if r.kept and not r.origin.restores and r.version < live.first
        ]
        if not earlier:
            raise UserError(
                f"{stack}: there is no release before version {live.version} to go back to"
            )
        return earlier[0]
    for release in releases:
        if str(release.version) == to:
            if release.first == live.first:
                raise UserError(f"{stack}: version {to} is live")
            if not release.kept:
                raise UserError(f"{stack}: of version {to} there is no package to release again")
            return release
    raise UserError(f"TO {to!r}: {stack} has no such version; `make releases` lists them")


def keep_package(stack: DeployedStack, bucket: str, region: str, version: int, build: str) -> None:
    """Keep what is deployed, under its version, and drop the oldest packages.

    Raises:
        UserError: AWS does not answer.
    """
    kept = _kept_versions(stack.name, bucket, region)
    with _answers(f"AWS in {region}"):
        cloudformation = boto3.client("cloudformation", region_name=region)
        template = cloudformation.get_template(StackName=stack.name, TemplateStage="Original")
        package = Package(build, stack.parameters, str(template["TemplateBody"]))
        s3 = boto3.client("s3", region_name=region)
        s3.put_object(
            Bucket=bucket, Key=_key(stack.name, version), Body=json.dumps(asdict(package)).encode()
        )
        old: list[ObjectIdentifierTypeDef] = [
            {"Key": _key(stack.name, each)} for each in sorted({*kept, version})[:-KEPT]
        ]
        if old:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": old})


def load_package(stack: str, bucket: str, region: str, version: int) -> Package:
    """The package of a version.

    Raises:
        UserError: AWS does not answer.
    """
    with _answers(f"AWS in {region}"):
        s3 = boto3.client("s3", region_name=region)
        answer = s3.get_object(Bucket=bucket, Key=_key(stack, version))
        return Package(**json.loads(answer["Body"].read()))


def release_table(releases: Sequence[Release]) -> str:
    """The releases in columns."""
    rows = [
        (
            str(release.version),
            f"{release.traffic} %" if release.traffic else "",
            release.origin.released,
            release.origin.commit,
            release.origin.contract,
            ", ".join(
                [
                    *([f"version {release.first} again"] if release.origin.restores else []),
                    *([] if release.kept else ["no package"]),
                ]
            ),
        )
        for release in releases
    ]
    return table([("VERSION", "CALLS", "RELEASED", "COMMIT", "CONTRACT", ""), *rows])


def _kept_versions(stack: str, bucket: str, region: str) -> set[int]:
    with _answers(f"AWS in {region}"):
        s3 = boto3.client("s3", region_name=region)
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{stack}/releases/")
    return {int(Path(each["Key"]).stem) for each in listed.get("Contents", [])}


def _key(stack: str, version: int) -> str:
    return f"{stack}/releases/{version}.json"


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@contextmanager
def _answers(whose: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"{whose} does not answer: {error}") from None
