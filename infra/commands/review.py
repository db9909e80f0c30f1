"""Says what a deploy would change and cost, as the text of a comment.

What it prints is Markdown, short enough for GitHub; how it goes on is told to standard error.
"""

import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.commands.cost import Estimate, Prices, estimate, load_prices, report
from infra.commands.running import with_what_runs
from infra.config.environment import EnvironmentConfig, load_environment
from infra.main import synthesize
from infra.terraform.backend import backend_arguments, stack_folder
from infra.terraform.program import Terraform, installed_terraform
from shared.cli.errors import exit_code

# GitHub takes 65,536 for a comment; the difference is for what marks it there.
MAX_CHARACTERS = 65_000
_HALF = MAX_CHARACTERS // 2
_CUT = "… cut here: `make plan` shows all"

# What a plan's JSON calls an action, and what it is called here; what comes first is worst.
# https://developer.hashicorp.com/terraform/internals/json-format#change-representation
_ACTIONS: Mapping[tuple[str, ...], str] = {
    ("delete",): "destroy",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
    ("create",): "add",
    ("update",): "change",
}
_ORDER = tuple(dict.fromkeys(_ACTIONS.values()))
_LOSSES = ("destroy", "replace")


@dataclass(frozen=True)
class Change:
    """What happens to one resource, and which of its attributes force a replacement."""

    address: str
    action: str
    forced_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        forced = ", ".join(f"`{name}`" for name in self.forced_by)
        return f"{self.action} `{self.address}`" + (f", forced by {forced}" if forced else "")


@dataclass(frozen=True)
class RegionReview:
    """What a deploy does in one region: changes, Terraform's own words, and stacks to price."""

    region: str
    changes: tuple[Change, ...]
    plan: str
    deployed: Mapping[str, Any]
    planned: Mapping[str, Any]


def review(environment: EnvironmentConfig, region: str, terraform: Terraform) -> RegionReview:
    """Plan a region's synthesized stack against what is deployed.

    A saved plan has secrets in the clear; it is gone when this returns. What is shown of it are the
    names of resources and Terraform's own words, which keep what is sensitive to themselves.

    Raises:
        UserError: Terraform failed; it has said why.
    """
    folder = stack_folder(environment, region)
    print(f"==> {folder.name}: terraform plan", file=sys.stderr, flush=True)
    terraform.init(folder, *backend_arguments(environment, region))
    with tempfile.TemporaryDirectory() as private:
        file = str(Path(private) / "plan")
        # Without the state's lock: a look must not make somebody's apply fail.
        terraform.read(folder, "plan", "-lock=false", f"-out={file}")
        plan = json.loads(terraform.read(folder, "show", "-json", file))
        words = terraform.read(folder, "show", "-no-color", file)
    return RegionReview(
        region=region,
        changes=tuple(sorted(changes(plan), key=lambda change: _ORDER.index(change.action))),
        plan=words.strip(),
        deployed=deployed_stack(plan, region),
        planned=json.loads((folder / "cdk.tf.json").read_text()),
    )


def changes(plan: Mapping[str, Any]) -> Iterator[Change]:
    """The changes in a plan's JSON; what stays, or is only read, is none."""
    for resource in plan.get("resource_changes", []):
        change = resource["change"]
        action = _ACTIONS.get(tuple(change["actions"]))
        if action:
            forced = (str(path[0]) for path in change.get("replace_paths", []))
            yield Change(resource["address"], action, tuple(dict.fromkeys(forced)))


def deployed_stack(plan: Mapping[str, Any], region: str) -> Mapping[str, Any]:
    """What is deployed before a plan, in the form of a synthesized stack."""
    resources: dict[str, dict[str, Any]] = {}
    state = plan.get("prior_state", {}).get("values", {}).get("root_module", {})
    for resource in state.get("resources", []):
        if resource["mode"] == "managed":
            resources.setdefault(resource["type"], {})[resource["address"]] = resource["values"]
    return {"provider": {"aws": [{"region": region}]}, "resource": resources}


def comment(environment: str, regions: Sequence[RegionReview], prices: Prices) -> str:
    """The comment on all regions: what is lost comes first, and what is too long is cut."""
    costs = {
        "now": estimate([region.deployed for region in regions], prices),
        "then": estimate([region.planned for region in regions], prices),
    }
    every = [(region.region, change) for region in regions for change in region.changes]
    counts = Counter(change.action for _, change in every)
    said = ", ".join(f"{counts[action]} to {action}" for action in _ORDER if counts[action])
    text = f"### Plan of `{environment}`: {said or 'nothing to change'}\n\n"
    losses = [entry for entry in every if entry[1].action in _LOSSES]
    if losses:
        text += f"**Lost, with all that is in them:**\n\n{_cut(_listed(losses), _HALF)}\n\n"
    text += f"{_overview(regions, costs, [action for action in _ORDER if counts[action]])}\n"
    # Whatever is long gets its share of the room that is left.
    text += _folded("Every change", _listed(every), (MAX_CHARACTERS - len(text)) // 2)
    text += _folded("Cost", report(costs, prices), (MAX_CHARACTERS - len(text)) // 2, fenced=True)
    for done, region in enumerate(regions):
        room = (MAX_CHARACTERS - len(text)) // (len(regions) - done)
        text += _folded(f"Terraform on {region.region}", region.plan, room, fenced=True)
    return text.rstrip()


def _overview(
    regions: Sequence[RegionReview], costs: Mapping[str, Estimate], actions: Sequence[str]
) -> str:
    heading = ["Region", *actions, *(f"$ a month {when}" for when in costs)]
    rows = [heading, [":--", *("--:" for _ in heading[1:])]]
    for region in regions:
        counts = Counter(change.action for change in region.changes)
        dollars = [f"{each.total(region.region):,.2f}" for each in costs.values()]
        rows.append([region.region, *(str(counts[action]) for action in actions), *dollars])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _listed(changes: Sequence[tuple[str, Change]]) -> str:
    return "\n".join(f"- {region}: {change}" for region, change in changes)


def _folded(summary: str, body: str, room: int, *, fenced: bool = False) -> str:
    """A section that opens on a click, of no more than `room` characters; none if it is empty."""
    if not body:
        return ""
    # Longer than any in the text, which so cannot end it.
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    before, after = (f"{fence}text\n", f"\n{fence}") if fenced else ("", "")
    before = f"\n<details><summary>{summary}</summary>\n\n{before}"
    after = f"{after}\n\n</details>\n"
    return f"{before}{_cut(body, room - len(before) - len(after))}{after}"


def _cut(text: str, room: int) -> str:
    """As many whole lines of a text as there is room for."""
    if len(text) <= room:
        return text
    kept = text[: room - len(_CUT)].rpartition("\n")[0]
    return f"{kept}\n{_CUT}"


def main() -> None:
    """Print the comment on the environment that the process environment describes.

    Raises:
        UserError: there are no credentials, or Terraform failed; it has said why.
    """
    environment = with_what_runs(load_environment(os.environ))
    synthesize(environment)
    with installed_terraform(os.environ) as terraform:
        regions = [review(environment, each.region, terraform) for each in environment.regions]
    print(comment(environment.suffix, regions, load_prices()))


if __name__ == "__main__":
    sys.exit(exit_code(main))
