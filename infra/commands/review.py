"""Writes a comment: what a deploy would change and cost.

It prints Markdown, short enough for GitHub. Progress goes to standard error.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.commands.consumers import consumption
from infra.commands.cost import Estimate, Prices, estimate, load_prices, report
from infra.commands.planning import check_state, plan_file, plans_folder, read_plan
from infra.commands.running import with_what_runs
from infra.commands.vaults import full_vaults
from infra.config.environment import EnvironmentConfig, load_environment
from infra.gate.acceptance import refused
from infra.gate.changes import ACTIONS, Change, Plan, deployed_resources, plan_changes
from infra.gate.verdict import Verdict, judge
from infra.main import synthesize
from infra.terraform.backend import backend_arguments, stack_folder
from infra.terraform.program import Terraform, installed_terraform, read_configuration
from infra.terraform.without_secrets import without_secrets
from shared.cli.errors import exit_code

# GitHub takes 65,536 characters for a comment; the rest is for the mark that the comment gets.
MAX_CHARACTERS = 65_000
_HALF = MAX_CHARACTERS // 2
_CUT = "… cut here: `make plan` shows all"


@dataclass(frozen=True)
class RegionReview:
    """What a deploy does in one region: changes, verdict, Terraform's output, stacks to price."""

    region: str
    changes: tuple[Change, ...]
    verdict: Verdict
    plan: str
    deployed: Mapping[str, Any]
    planned: Mapping[str, Any]


def review(
    environment: EnvironmentConfig, region: str, terraform: Terraform, plans: Path
) -> RegionReview:
    """Plan a region's synthesized stack into a file of `plans`, against what is deployed.

    A saved plan has secrets in clear text. The review has names of resources and Terraform's own
    words, which leave out sensitive values.

    Raises:
        UserError: Terraform or AWS failed, or a state is empty that should not be.
    """
    folder = stack_folder(environment, region)
    print(f"==> {folder.name}: terraform plan", file=sys.stderr, flush=True)
    terraform.init(folder, *backend_arguments(environment, region))
    file = plan_file(plans, folder)
    with without_secrets(terraform, folder) as place:
        # A review takes no lock on the state: it must not make somebody's apply fail.
        terraform.read(place, "plan", "-lock=false", f"-out={file}")
        plan = read_plan(terraform, place, file)
        check_state(environment, region, folder.name, plan)
        words = terraform.read(place, "show", "-no-color", str(file))
    return RegionReview(
        region=region,
        changes=tuple(sorted(plan_changes(plan), key=lambda change: ACTIONS.index(change.action))),
        verdict=judge(
            plan,
            consumption(region, environment.suffix),
            (*refused(plan, region, environment.suffix), *full_vaults(plan)),
        ),
        plan=words.strip(),
        deployed=deployed_stack(plan, region),
        planned=read_configuration(folder),
    )


def deployed_stack(plan: Plan, region: str) -> Mapping[str, Any]:
    """The deployed resources before a plan, in the form of a synthesized stack."""
    resources: dict[str, dict[str, Any]] = {}
    for type_, address, values in deployed_resources(plan):
        resources.setdefault(type_, {})[address] = values
    return {"provider": {"aws": [{"region": region}]}, "resource": resources}


def comment(environment: str, regions: Sequence[RegionReview], prices: Prices) -> str:
    """The comment on all regions: what is lost comes first, and what is too long is cut."""
    costs = {
        "now": estimate([region.deployed for region in regions], prices),
        "then": estimate([region.planned for region in regions], prices),
    }
    every = [(region.region, change) for region in regions for change in region.changes]
    counts = Counter(change.action for _, change in every)
    said = ", ".join(f"{counts[action]} to {action}" for action in ACTIONS if counts[action])
    text = f"### Plan of `{environment}`: {said or 'nothing to change'}\n\n"
    text += _verdicts(regions)
    text += f"{_overview(regions, costs, [action for action in ACTIONS if counts[action]])}\n"
    # Long parts share the remaining room.
    text += _folded("Every change", _listed(every), (MAX_CHARACTERS - len(text)) // 2)
    text += _folded("Cost", report(costs, prices), (MAX_CHARACTERS - len(text)) // 2, fenced=True)
    for done, region in enumerate(regions):
        room = (MAX_CHARACTERS - len(text)) // (len(regions) - done)
        text += _folded(f"Terraform on {region.region}", region.plan, room, fenced=True)
    return text.rstrip()


def _verdicts(regions: Sequence[RegionReview]) -> str:
    """The verdict on each region, and its details."""
    lines = []
    for region in regions:
        lines.append(f"- {region.region}: **{region.verdict.word}**")
        lines += [f"  - {line}" for line in region.verdict.lines()]
    return f"{_cut(chr(10).join(lines), _HALF)}\n\n"


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
    """A collapsible section of at most `room` characters; empty without text."""
    if not body:
        return ""
    # A longer fence than any in the text, so that the text cannot end it.
    longest = max((len(run) for run in re.findall("`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    before, after = (f"{fence}text\n", f"\n{fence}") if fenced else ("", "")
    before = f"\n<details><summary>{summary}</summary>\n\n{before}"
    after = f"{after}\n\n</details>\n"
    return f"{before}{_cut(body, room - len(before) - len(after))}{after}"


def _cut(text: str, room: int) -> str:
    """As many whole lines of a text as fit."""
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
    with (
        installed_terraform(os.environ) as terraform,
        plans_folder(os.environ.get("OUT", "")) as plans,
    ):
        regions = [
            review(environment, each.region, terraform, plans) for each in environment.regions
        ]
    print(comment(environment.suffix, regions, load_prices()))


if __name__ == "__main__":
    sys.exit(exit_code(main))
