"""A small typed view of synthesized Terraform JSON."""

import json
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra.config.environment import load_environment
from infra.main import synthesize

Attributes = Mapping[str, Any]

REGIONS = ("us-east-1", "us-east-2", "us-west-2")
EVERYTHING = Path(__file__).resolve().parents[1] / "infra" / "environments" / "everything.toml"
# The three profiles, and one with every option on.
VARIANTS = ("dev", "standard", "production", "everything")


@dataclass(frozen=True)
class Stack:
    """One stack's JSON. A resource is named by the path of its construct within the stack."""

    document: Mapping[str, Any]

    def resources(self, type_: str) -> dict[str, Attributes]:
        """All resources of a type, by name."""
        found = self.document["resource"].get(type_, {})
        return {_path(body): body for body in found.values()}

    def only(self, type_: str) -> Attributes:
        """The one resource of a type."""
        (resource,) = self.resources(type_).values()
        return resource

    def all_resources(self) -> dict[tuple[str, str], Attributes]:
        """All resources, by type and name."""
        return {
            (type_, _path(body)): body
            for type_, found in self.document["resource"].items()
            for body in found.values()
        }

    def counts(self) -> dict[str, int]:
        """How many resources of each type there are."""
        return dict(Counter(type_ for type_, _ in self.all_resources()))

    def reference(self, type_: str, path: str, attribute: str) -> str:
        """The Terraform expression for a resource's attribute."""
        for name, body in self.document["resource"][type_].items():
            if _path(body) == path:
                return f"${{{type_}.{name}.{attribute}}}"
        raise KeyError(path)

    def master_secret(self) -> str:
        """The Terraform expression for the ARN of the master user's secret."""
        secret, cluster = (
            self.reference("aws_rds_cluster", "database/cluster", name)
            for name in ("master_user_secret[0].secret_arn", "arn")
        )
        return f"{secret[:2]}try({secret[2:-1]}, {cluster[2:-1]})}}"

    def references(self, type_: str, attribute: str) -> set[str]:
        """The Terraform expressions for an attribute of all resources of a type."""
        return {self.reference(type_, path, attribute) for path in self.resources(type_)}

    def addresses(self) -> set[str]:
        """The Terraform addresses of all resources."""
        return {
            f"{type_}.{name}"
            for type_, resources in self.document["resource"].items()
            for name in resources
        }


def differences(one: Stack, other: Stack) -> dict[tuple[str, str], set[str]]:
    """The resources in which two stacks differ, each with the attributes that do.

    A resource that only one of them has differs in all attributes.
    """
    left, right = one.all_resources(), other.all_resources()
    found = {}
    for key in left.keys() | right.keys():
        a, b = left.get(key, {}), right.get(key, {})
        differing = {name for name in a.keys() | b.keys() if a.get(name) != b.get(name)}
        if differing - {"//"}:
            found[key] = differing - {"//"}
    return found


def statements(policy: str) -> dict[str, Mapping[str, Any]]:
    """The statements of a policy document by their Sid, or else by their number."""
    return {
        statement.get("Sid", str(number)): statement
        for number, statement in enumerate(json.loads(policy)["Statement"])
    }


def synthesized(folder: Path, settings: str = "", **variables: str) -> dict[str, Stack]:
    """Synthesize an environment into `folder` and read the stacks back, by name.

    `settings` is the text of the environment's file.
    """
    file = folder / "environment.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(settings)
    environment = load_environment(
        {"CDKTF_OUTDIR": str(folder), "ENVIRONMENT_FILE": str(file), **variables}
    )
    synthesize(environment)
    stacks = stacks_in(folder)
    return {name: stacks[name] for name in environment.stack_names()}


def stacks_in(folder: Path) -> dict[str, Stack]:
    """The stacks that were synthesized into a folder, by name."""
    return {
        file.parent.name: Stack(json.loads(file.read_text()))
        for file in folder.glob("stacks/*/cdk.tf.json")
    }


@cache
def variant(name: str) -> dict[str, Stack]:
    """The stacks of one of the `VARIANTS`, with the suffix `qa`, by region."""
    text = EVERYTHING.read_text() if name == "everything" else f'profile = "{name}"'
    with tempfile.TemporaryDirectory() as folder:
        stacks = synthesized(Path(folder), text, ENVIRONMENT_SUFFIX="qa", REGIONS=",".join(REGIONS))
    return dict(zip(REGIONS, stacks.values(), strict=True))


def _path(body: Attributes) -> str:
    path: str = body["//"]["metadata"]["path"]
    return path.partition("/")[2]
