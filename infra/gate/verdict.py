"""The verdict on one stack's plan: a pure function of the plan's JSON."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from infra.gate.changes import Change, Plan, plan_changes
from infra.gate.interruptions import interrupted
from infra.gate.losses import lost
from infra.gate.obstacles import CLUSTER, Obstacle, obstacles
from infra.gate.quotas import exceeded
from shared.cli.errors import UserError

# The services' stacks that were released with each published value, by SSM parameter.
Consumers = Mapping[str, Iterable[str]]
NOTHING_LOST = "nothing lost"
_ALLOWED = re.compile(r"(?P<stack>[a-z0-9-]+): *(?P<address>\S+)")
_PARAMETER = "aws_ssm_parameter"


@dataclass(frozen=True, order=True)
class Finding:
    """What a plan does to one resource."""

    address: str
    text: str

    def __str__(self) -> str:
        return f"{self.address}: {self.text}"


@dataclass(frozen=True)
class Verdict:
    """What a plan does to data: what it cannot do, what it loses, what it interrupts."""

    obstacles: tuple[Finding, ...] = ()
    losses: tuple[Finding, ...] = ()
    interruptions: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()
    lost_clusters: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """The verdict in one of four words; the worst finding decides."""
        if self.obstacles:
            return "cannot work"
        if self.losses:
            return "loses"
        return "interrupts" if self.interruptions else NOTHING_LOST

    def lines(self) -> list[str]:
        """One line for each finding, the worst first."""
        kinds = {
            "cannot work": self.obstacles,
            "loses": self.losses,
            "interrupts": self.interruptions,
            "note": self.notes,
        }
        return [f"{kind}: {finding}" for kind, found in kinds.items() for finding in found]


def judge(plan: Plan, consumers: Consumers, refused: Iterable[Obstacle] = ()) -> Verdict:
    """Classify a plan by what it does to the data of its stack.

    `refused` is what AWS would refuse of it (`infra.gate.acceptance`), and what is deployed cannot
    do. A resource that the plan cannot change as it says is not listed among the losses as well.
    """
    changes = list(plan_changes(plan))
    blocked = sorted({Finding(*found) for found in (*obstacles(plan, changes), *refused)})
    excluded = {finding.address for finding in blocked}
    rest = [change for change in changes if change.address not in excluded]
    losses = [Finding(change.address, text) for change in rest for text in lost(change)]
    losses += [
        Finding(change.address, f"the value that {', '.join(users)} was released with")
        for change in rest
        if (users := _cut_off(change, consumers))
    ]
    return Verdict(
        obstacles=tuple(blocked),
        losses=tuple(sorted(losses)),
        interruptions=tuple(
            sorted(Finding(change.address, text) for change in rest for text in interrupted(change))
        ),
        notes=tuple(sorted([*_notes(rest), *(Finding(*found) for found in exceeded(plan))])),
        lost_clusters=tuple(
            change.before["cluster_identifier"]
            for change in rest
            if change.type == CLUSTER and change.goes
        ),
    )


def allowed_losses(text: str) -> frozenset[tuple[str, str]]:
    """The stack and address of each loss that `ALLOW_LOSS` allows.

    Entries look like `<stack>: <address>`; commas or line breaks separate them.

    Raises:
        UserError: an entry has another form.
    """
    entries = [entry.strip() for entry in re.split(r"[,\n]", text) if entry.strip()]
    found = {entry: _ALLOWED.fullmatch(entry) for entry in entries}
    for entry, match in found.items():
        if match is None:
            raise UserError(
                f"ALLOW_LOSS {entry!r}: write <stack>: <address>, as the summary of the plan has "
                "them; separate several by commas"
            )
    return frozenset((match["stack"], match["address"]) for match in found.values() if match)


def _cut_off(change: Change, consumers: Consumers) -> list[str]:
    """The stacks that were released with a published value that goes."""
    name = change.before.get("name", "")
    moved = change.action == "replace" and change.after.get("name") == name
    if change.type != _PARAMETER or not change.goes or moved:
        return []
    return sorted(consumers.get(name, ()))


def _notes(changes: Iterable[Change]) -> Iterable[Finding]:
    for change in changes:
        if (
            change.type == CLUSTER
            and change.action == "add"
            and change.after.get("skip_final_snapshot")
        ):
            yield Finding(
                change.address,
                "it leaves no snapshot when it is destroyed; protection.final_snapshot = true "
                "changes that",
            )
