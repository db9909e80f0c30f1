"""The releases of the service in a region, and where the callers are.

A release is a version of the trade function. Its description says what it was made of.
"""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import boto3

from service.deploy.deployed import DeployedStack
from shared.cli.aws import answering
from shared.cli.errors import UserError
from shared.cli.table import table

ALIAS = "live"
# How many of the latest releases are listed.
LISTED = 20

_FUNCTION = "TradeFunction"
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Origin:
    """What a release was made of, as the description of its version says.

    `released` is when it was started, in UTC. `package` is the digest of its package. `restores` is
    the version that a rollback restores.
    """

    commit: str = _UNKNOWN
    contract: str = _UNKNOWN
    released: str = _UNKNOWN
    package: str = ""
    restores: int | None = None

    def __str__(self) -> str:
        package = f" package={self.package}" if self.package else ""
        restores = f" restores={self.restores}" if self.restores else ""
        known = f"commit={self.commit} contract={self.contract} released={self.released}"
        return f"{known}{package}{restores}"

    @property
    def summary(self) -> str:
        """The description for people: without the digest of the package."""
        return str(replace(self, package=""))

    @classmethod
    def parse(cls, description: str) -> Origin:
        """Read a description; that of a version published by hand is empty."""
        said = dict(word.split("=", 1) for word in description.split() if "=" in word)
        names = ("commit", "contract", "released", "package")
        known = {name: said[name] for name in names if name in said}
        restores = said.get("restores", "")
        return cls(**known, restores=int(restores) if restores.isdecimal() else None)

    @classmethod
    def now(cls, commit: str, contract: str, package: str, restores: int | None = None) -> Origin:
        """The origin of a release that is about to start."""
        released = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(commit, contract, released, package, restores)


@dataclass(frozen=True)
class Release:
    """A version; `calls` is its share of the calls in percent.

    `current` is the one in the stack. It has all calls, unless CodeDeploy is moving callers to it,
    or somebody has moved them by hand.
    """

    version: int
    origin: Origin
    calls: int
    current: bool

    @property
    def first(self) -> int:
        """The version that was first released like this."""
        return self.origin.restores or self.version


def source_commit(folder: Path) -> str:
    """The git commit of a folder, with `-dirty` if something in it differs from the commit.

    Without git, or outside a repository, it is `unknown`.
    """
    try:
        commit = _git(folder, "rev-parse", "--short=12", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--", ".")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return _UNKNOWN
    return f"{commit}-dirty" if changes else commit


def list_releases(stack: DeployedStack, region: str) -> list[Release]:
    """The current release and the latest ones, the newest first.

    Raises:
        UserError: AWS does not answer, or the stack's first release has failed.
    """
    resources = stack.resources(region)
    versions = [
        int(identifier.rpartition(":")[2])
        for name, identifier in resources.items()
        if name.startswith(f"{_FUNCTION}Version") and identifier
    ]
    if not versions:
        raise UserError(f"{stack.name} is {stack.status} and has no release")
    # During a release the stack has two; it will keep the newer one.
    function, current = resources[_FUNCTION], max(versions)
    with answering(region):
        client = boto3.client("lambda", region_name=region)
        pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=function)
        origins = {
            int(each["Version"]): Origin.parse(each.get("Description", ""))
            for page in pages
            for each in page["Versions"]
            if each["Version"] != "$LATEST"
        }
        alias = client.get_alias(FunctionName=function, Name=ALIAS)
    # While CodeDeploy moves callers, the alias names the old version, and the new one's share.
    shares = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    calls = {int(version): round(100 * share) for version, share in shares.items()}
    calls[int(alias["FunctionVersion"])] = 100 - sum(calls.values())
    return [
        Release(version, origins[version], calls.get(version, 0), version == current)
        for place, version in enumerate(sorted(origins, reverse=True))
        if place < LISTED or version == current
    ]


def current_release(releases: Sequence[Release]) -> Release:
    """The release that is in the stack."""
    (current,) = (release for release in releases if release.current)
    return current


def release_to_restore(releases: Sequence[Release], kept: Collection[int], to: str) -> Release:
    """The release that a rollback goes to: the version `to`, or else what was live before.

    From a rollback, it goes to what was live before the release that was restored. So repeated
    rollbacks go further back, and never forward again.

    Raises:
        UserError: there is none, it is the current one, or its package is not kept.
    """
    current = current_release(releases)
    if not to:
        for release in releases:
            if release.version < current.first and release.version in kept:
                return release
        raise UserError(f"there is no release before version {current.first} to go back to")
    for release in releases:
        if str(release.version) == to:
            if release.first == current.first:
                raise UserError(f"TO {to!r}: this is what is released now")
            if release.version not in kept:
                raise UserError(
                    f"TO {to!r}: its package is not kept; `make releases` lists those that are"
                )
            return release
    raise UserError(f"TO {to!r}: there is no such version; `make releases` lists them")


def release_table(releases: Sequence[Release], kept: Collection[int]) -> str:
    """The releases in columns."""
    rows = [
        (
            str(release.version),
            f"{release.calls} %" if release.calls else "",
            "" if _refused(release, kept) else release.origin.released,
            release.origin.commit,
            release.origin.contract,
            _remark(release, kept),
        )
        for release in releases
    ]
    return table([("VERSION", "CALLS", "RELEASED", "COMMIT", "CONTRACT", ""), *rows])


def _refused(release: Release, kept: Collection[int]) -> bool:
    """Whether a version never became a release: a release that succeeds keeps its package.

    Packages of old releases were deleted, and that of the current one may be on its way.
    """
    newer = bool(kept) and release.version > min(kept)
    return newer and release.version not in kept and not release.current


def _remark(release: Release, kept: Collection[int]) -> str:
    if _refused(release, kept):
        return "refused"
    if release.version not in kept:
        return "no package"
    return f"version {release.first} again" if release.origin.restores else ""


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()
