"""Recorded calls, judged one by one."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certify.documents import Findings
from certify.references import known_action
from infra.gate.models import input_shape, refusals

# What the recorder writes in place of passwords.
HIDDEN = "(hidden)"


@dataclass(frozen=True)
class Call:
    """One call that the emulator has recorded."""

    caller: str
    tool: str
    region: str
    service: str
    operation: str
    parameters: Mapping[str, Any]
    action: str
    resource: str
    status: int
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Service and operation, by botocore's names."""
        return f"{self.service}:{self.operation}"

    @property
    def succeeded(self) -> bool:
        """Whether the emulator has done what was asked for."""
        return self.status < 400  # noqa: PLR2004 - HTTP's first status of an error


def recorded(file: Path) -> Iterator[Call]:
    """The calls in a file of the recorder, in their order."""
    with file.open() as lines:
        for line in lines:
            yield Call(**json.loads(line))


def refused(call: Call) -> Iterator[str]:
    """What AWS is known to refuse of a call."""
    shape = input_shape(call.service, call.operation)
    for member, reason in refusals(shape, call.parameters) if shape else ():
        if HIDDEN not in reason:
            yield f"{call.name} {member}: {reason}"
    if not known_action(call.action):
        yield f"{call.name}: there is no action {call.action}"


def findings(file: Path) -> Findings:
    """The judgement on all calls of a recording that the emulator has answered well."""
    found = Findings(f"recorded calls of {file}")
    for call in recorded(file):
        found.judged += 1
        if call.succeeded:
            found.refused += refused(call)
    found.refused = sorted(set(found.refused))
    return found
