"""How much of a new account's quotas a plan takes."""

import functools
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.gate.changes import Plan
from infra.gate.obstacles import Obstacle


@dataclass(frozen=True)
class Quota:
    """How many resources of a type a region of a new account may have.

    `code` is the quota's name in Service Quotas, and `source` where AWS says so.
    """

    resource: str
    what: str
    most: int
    code: str
    source: str


def taken(plan: Plan) -> Mapping[Quota, int]:
    """How many of each there are once the plan is applied."""
    kept = Counter(
        change["type"]
        for change in plan.get("resource_changes", [])
        if change["change"].get("after") is not None
    )
    return {quota: kept[quota.resource] for quota in quotas() if kept[quota.resource]}


def exceeded(plan: Plan) -> Iterator[Obstacle]:
    """The types of which a plan has more than a new account may have, and what to do."""
    for quota, count in taken(plan).items():
        if count > quota.most:
            yield (
                quota.resource,
                f"{count} {quota.what}, and a new account has {quota.most} in a region: see that "
                f"the quota {quota.code} is high enough before you apply ({quota.source})",
            )


@functools.cache
def quotas() -> tuple[Quota, ...]:
    """The quotas that are known here."""
    document = tomllib.loads(Path(__file__).with_name("quotas.toml").read_text())
    return tuple(Quota(**quota) for quota in document["quota"])
