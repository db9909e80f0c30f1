"""Decides whether plans may be applied: by their verdicts, by what the operator allows, or asks."""

import sys
from collections.abc import Sequence

from infra.commands.planning import PlannedStack
from infra.gate.verdict import NOTHING_LOST
from shared.cli.confirm import confirm
from shared.cli.errors import UserError

Allowed = frozenset[tuple[str, str]]


def summary(stacks: Sequence[PlannedStack]) -> str:
    """The verdict on each stack, and a line for each finding."""
    lines = []
    for stack in stacks:
        if stack.file is None:
            lines.append(f"{stack.name}: new; planned when the primary region is deployed")
        elif stack.changes:
            lines.append(f"{stack.name}: {stack.verdict.word}")
            lines += [f"  {line}" for line in (*stack.verdict.lines(), *stack.holdings)]
        else:
            lines.append(f"{stack.name}: no changes")
    return "\n".join(lines)


def check(stacks: Sequence[PlannedStack], allowed: Allowed) -> None:
    """Return if all plans can work and lose nothing but what is allowed.

    Raises:
        UserError: a plan cannot work, or it loses what `allowed` does not name.
    """
    blocked = [stack.name for stack in stacks if stack.verdict.obstacles]
    if blocked:
        raise UserError(
            f"{', '.join(blocked)}: this plan cannot work; nothing was applied. The lines above "
            "say why, and what works instead"
        )
    losses = dict.fromkeys(
        (stack.name, finding.address) for stack in stacks for finding in stack.verdict.losses
    )
    refused = [f"{stack}: {address}" for stack, address in losses.keys() - allowed]
    if refused:
        raise UserError(
            "this plan loses data; nothing was applied. Take the edit back, or name what you give "
            f'up: ALLOW_LOSS="{", ".join(sorted(refused))}"'
        )
    for stack_name, address in sorted(allowed - losses.keys()):
        print(f"note: ALLOW_LOSS names {stack_name}: {address}, which this plan does not lose")


def approve(stacks: Sequence[PlannedStack], *, reviewed: bool) -> None:
    """Return if the plans were reviewed, if a person agrees now, or if they do no harm.

    Raises:
        UserError: the person declines, or nobody is there to ask about a plan that does harm.
    """
    if reviewed or not any(stack.changes for stack in stacks):
        return
    if sys.stdin.isatty():
        confirm("Apply this?")
        return
    harmful = [stack.name for stack in stacks if stack.verdict.word != NOTHING_LOST]
    if harmful:
        raise UserError(
            f"{', '.join(harmful)}: without a terminal, only a reviewed plan may lose or interrupt "
            "something; nothing was applied. Run `make plan OUT=folder`, review it, and run "
            "`make deploy-infra PLAN=folder`"
        )
