"""Applies the data platform, once the plans of all its regions are judged and approved."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.commands.approval import approve, check, summary
from infra.commands.elsewhere import notes
from infra.commands.planning import (
    PlannedStack,
    plan_stacks,
    plans_folder,
    run_explained,
    saved_stacks,
    warn,
)
from infra.commands.remote_state import ensure
from infra.commands.snapshots import take_snapshot
from infra.config.environment import EnvironmentConfig, load_environment
from infra.gate.verdict import allowed_losses
from infra.terraform.program import Terraform, installed_terraform
from shared.cli.errors import exit_code
from shared.cli.in_regions import parallel_limit

_APPLIED = re.compile(r"Apply complete!|No changes\.")


def main() -> None:
    """Create missing state buckets; then plan, judge, ask and apply.

    The variable `PLAN` names a folder of plans, saved by `make plan OUT=…`, to apply instead.
    `ALLOW_LOSS` names what the plans may lose.

    Raises:
        UserError: a plan cannot work or is stale, it loses or interrupts something without
            permission, or Terraform or AWS failed.
    """
    environment = load_environment(os.environ)
    allowed = allowed_losses(os.environ.get("ALLOW_LOSS", ""))
    parallel = parallel_limit(os.environ)
    saved = os.environ.get("PLAN", "")
    with installed_terraform(os.environ) as terraform, plans_folder("") as plans:
        if environment.remote_state:
            ensure(environment, terraform)
        stacks = (
            saved_stacks(environment, terraform, Path(saved))
            if saved
            else plan_stacks(environment, terraform, plans, parallel=parallel)
        )
        forgotten = notes(environment, (stack.region for stack in stacks if stack.new))
        print(summary(stacks), *forgotten, sep="\n", flush=True)
        warn(stacks)
        check(stacks, allowed)
        approve(stacks, reviewed=bool(saved))
        for stack in stacks:
            for cluster in stack.verdict.lost_clusters:
                take_snapshot(cluster, stack.region)
        apply(environment, terraform, [stack for stack in stacks if stack.changes], parallel)
    # Repeat the warnings below Terraform's long output.
    warn(stacks)


def apply(
    environment: EnvironmentConfig,
    terraform: Terraform,
    stacks: Sequence[PlannedStack],
    parallel: int,
) -> None:
    """Apply the plans: one where the user sees it, several side by side with logs.

    Raises:
        UserError: Terraform failed; it has said why.
    """
    if len(environment.regions) == 1:
        for stack in stacks:
            print(f"==> {stack.name}: terraform apply", flush=True)
            terraform.run(stack.folder, "apply", str(stack.file))
        return
    by_region = {stack.region: [stack] for stack in stacks}
    waves = [
        [
            terraform.in_region(
                region.region, stack.folder, "apply", *([str(stack.file)] if stack.file else [])
            )
            for region in wave
            for stack in by_region.get(region.region, [])
        ]
        for wave in environment.waves()
    ]
    run_explained(waves, "apply", _APPLIED, parallel)


if __name__ == "__main__":
    sys.exit(exit_code(main))
