"""What the emulator has recorded: calls, and CloudFormation's work on resources."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """What IAM decides about a call: an action on a resource, with condition keys.

    `policy` is the resource's own policy, if it has one.
    """

    action: str
    resource: str
    context: Mapping[str, Any] = field(default_factory=dict)
    policy: Document | None = None


@dataclass(frozen=True)
class Call:
    """One call. A caller without policies of their own is the account's owner."""

    caller: str
    tool: str
    region: str
    service: str
    operation: str
    parameters: Mapping[str, Any]
    checks: Sequence[Check]
    status: int
    identity: Sequence[Document] = ()
    boundary: Document | None = None

    @property
    def name(self) -> str:
        """Service and operation, by botocore's names."""
        return f"{self.service}:{self.operation}"

    @property
    def succeeded(self) -> bool:
        """Whether the emulator has done what was asked for."""
        return self.status < HTTPStatus.BAD_REQUEST


@dataclass(frozen=True)
class Work:
    """What CloudFormation does with one resource in the name of who deploys: `create`, … ."""

    caller: str
    region: str
    type: str
    verb: str
    id: str
    stack: str
    properties: Mapping[str, Any]
    identity: Sequence[Document] = ()
    boundary: Document | None = None


def recorded(file: Path) -> Iterator[Call | Work]:
    """What a file of the recorder has, in its order."""
    policies: dict[str | None, Document | None] = {None: None}
    with file.open() as lines:
        for line in lines:
            record = json.loads(line)
            if "document" in record:
                policies[record["policy"]] = record["document"]
                continue
            record["identity"] = [policies[digest] for digest in record["identity"]]
            record["boundary"] = policies[record["boundary"]]
            if "verb" in record:
                yield Work(**record)
                continue
            checks = [
                Check(**{**check, "policy": policies[check["policy"]]})
                for check in record.pop("checks")
            ]
            yield Call(**record, checks=checks)


def role_of(caller: str) -> str:
    """The name of a caller's role or user; `owner` for the account's own credentials."""
    kind, _, name = caller.rpartition(":")[2].partition("/")
    return name.partition("/")[0] if kind in ("assumed-role", "user") else "owner"
