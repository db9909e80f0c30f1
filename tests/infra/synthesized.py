"""A small typed view of synthesized Terraform JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.config import load_environment
from infra.main import synthesize

Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Stack:
    """One stack's JSON."""

    document: Mapping[str, Any]

    def resources(self, type_: str) -> dict[str, Attributes]:
        """All resources of a type, by the path of their construct within the stack."""
        found = self.document["resource"].get(type_, {})
        return {body["//"]["metadata"]["path"].partition("/")[2]: body for body in found.values()}

    def only(self, type_: str) -> Attributes:
        """The one resource of a type."""
        (resource,) = self.resources(type_).values()
        return resource

    def reference(self, type_: str, path: str, attribute: str) -> str:
        """The Terraform expression for a resource's attribute."""
        for name, body in self.document["resource"][type_].items():
            if body["//"]["metadata"]["path"].partition("/")[2] == path:
                return f"${{{type_}.{name}.{attribute}}}"
        raise KeyError(path)

    def addresses(self) -> set[str]:
        """The Terraform addresses of all resources."""
        return {
            f"{type_}.{name}"
            for type_, resources in self.document["resource"].items()
            for name in resources
        }


def synthesized(folder: Path, **variables: str) -> dict[str, Stack]:
    """Synthesize an environment into `folder` and read the stacks back, by name."""
    environment = load_environment({"CDKTF_OUTDIR": str(folder), **variables})
    synthesize(environment)
    return {
        name: Stack(json.loads((folder / "stacks" / name / "cdk.tf.json").read_text()))
        for name in environment.stack_names()
    }
