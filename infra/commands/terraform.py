"""Runs one Terraform command on each of the environment's stacks."""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from infra.commands.consumers import consumption, consumption_changes
from infra.commands.kept_keys import keys_kept
from infra.commands.preflight import check_destroy
from infra.commands.running import with_what_runs
from infra.commands.zones import check_zones
from infra.config.environment import EnvironmentConfig, load_environment
from infra.main import synthesize
from infra.terraform.backend import backend_arguments, stack_folder
from infra.terraform.program import COMMANDS, Terraform, installed_terraform
from shared.cli.errors import exit_code
from shared.cli.in_regions import parallel_limit, run_in_regions

# What changes something, and what it says of its success: these run in regions side by side.
_RESULTS: Mapping[str, re.Pattern[str]] = {
    "apply": re.compile("Apply complete!|No changes\\."),
    "destroy": re.compile("Destroy complete!"),
}


_WARNING = "warning: "


def main(arguments: Sequence[str] | None = None) -> None:
    """Synthesize the environment's stacks and run one Terraform command on each of them.

    Arguments after `--` go to Terraform as they are.

    Raises:
        UserError: Terraform is missing, or failed; it has said why.
    """
    parser = argparse.ArgumentParser(prog="python -m infra.commands.terraform", description=__doc__)
    parser.add_argument("command", choices=list(COMMANDS))
    parser.add_argument("extra", nargs="*", help="further arguments for Terraform")
    options = parser.parse_args(arguments)
    command: str = options.command
    environment = load_environment(os.environ)
    parallel = parallel_limit(os.environ)
    with installed_terraform(os.environ) as terraform, ExitStack() as kept:
        if command == "destroy":
            environment.check_destroyable()
            check_destroy(environment)
            kept.enter_context(keys_kept(environment))
        if command in ("plan", "apply"):
            print(f"==> {environment.described}", flush=True)
            check_zones(environment)
            environment = with_what_runs(environment)
        synthesize(environment)
        if command in _RESULTS and len(environment.regions) > 1:
            waves = environment.waves()
            # What has joined a global database leaves it before that is destroyed.
            ordered = waves[::-1] if command == "destroy" else waves
            runs = [
                [
                    terraform.in_region(
                        region.region,
                        _initialized(terraform, environment, region.region, command),
                        command,
                        *options.extra,
                    )
                    for region in wave
                ]
                for wave in ordered
            ]
            run_in_regions(
                runs, what=f"terraform {command}", result=_RESULTS[command], parallel=parallel
            )
            for run in (run for wave in runs for run in wave):
                # An apply prints them twice.
                warned = dict.fromkeys(line for line in run.output() if line.startswith(_WARNING))
                print("".join(f"{run.region}: {line}\n" for line in warned), end="", flush=True)
            return
        for region in environment.regions:
            name = stack_folder(environment, region.region).name
            print(f"==> {name}: terraform {command}", flush=True)
            folder = _initialized(terraform, environment, region.region, command)
            if command in ("plan", "apply"):
                plan_and_warn(
                    terraform,
                    folder,
                    *options.extra,
                    region=region.region,
                    environment=environment.suffix,
                    apply=command == "apply",
                )
            elif command != "init":
                terraform.run(folder, command, *options.extra)


def plan_and_warn(
    terraform: Terraform,
    folder: Path,
    *arguments: str,
    region: str,
    environment: str,
    apply: bool,
) -> None:
    """Plan, warn of the deployed services that this concerns, and `apply` that very plan if told.

    Raises:
        UserError: Terraform failed, which has said why, or AWS does not name the services.
    """
    with tempfile.TemporaryDirectory(prefix="terraform-plan-") as temporary:
        plan = Path(temporary) / "plan"
        if not terraform.plan(folder, plan, *arguments):
            return
        consumed = consumption(region, environment)
        warnings = ""
        # The arguments may name another file. To read a plan takes Terraform some seconds.
        if consumed and plan.exists():
            shown = json.loads(terraform.read(folder, "show", "-json", str(plan)))
            changes = consumption_changes(shown, consumed)
            warnings = "".join(f"{_WARNING}{change}\n" for change in changes)
        print(warnings, end="", file=sys.stderr, flush=True)
        if apply:
            terraform.run(folder, "apply", str(plan))
            # Once more, below all that Terraform has printed.
            print(warnings, end="", file=sys.stderr, flush=True)


def _initialized(
    terraform: Terraform, environment: EnvironmentConfig, region: str, command: str
) -> Path:
    """The folder of a region's stack, ready for the command."""
    folder = stack_folder(environment, region)
    # To validate needs neither a state nor an account.
    backend = (
        ("-backend=false",) if command == "validate" else backend_arguments(environment, region)
    )
    terraform.init(folder, *backend, quiet=command != "init")
    return folder


if __name__ == "__main__":
    sys.exit(exit_code(main))
