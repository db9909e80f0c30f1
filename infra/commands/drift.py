"""Says how reality, Terraform's state and the configuration differ."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.commands.running import with_what_runs
from infra.commands.unmanaged import unmanaged
from infra.config.environment import load_environment
from infra.main import synthesize
from infra.terraform.backend import backend_arguments, stack_folder
from infra.terraform.program import Terraform, installed_terraform
from infra.terraform.without_secrets import without_secrets
from shared.cli.errors import UserError, exit_code

Plan = Mapping[str, Any]


def main() -> None:
    """Print what the platform team must act on in each of the environment's regions.

    Raises:
        UserError: there is something to act on, or Terraform or AWS failed.
    """
    environment = with_what_runs(load_environment(os.environ))
    drifted = []
    synthesize(environment)
    with installed_terraform(os.environ) as terraform:
        for region in (region.region for region in environment.regions):
            folder = stack_folder(environment, region)
            print(f"==> {folder.name}: terraform plan", file=sys.stderr, flush=True)
            terraform.init(folder, *backend_arguments(environment, region))
            plan = _plan(terraform, folder)
            findings = [*plan_findings(plan), *unmanaged(plan, region, environment.suffix)]
            for finding in findings or ["no drift"]:
                print(f"{folder.name}: {finding}", flush=True)
            if findings:
                drifted.append(folder.name)
    if drifted:
        raise UserError(f"{', '.join(drifted)}: infra must act")


def plan_findings(plan: Plan) -> Iterator[str]:
    """What an apply would change, and whether reality or the configuration is the reason.

    `plan` is the JSON of `terraform show -json`. Attributes that the configuration leaves to AWS or
    to another resource do not count: a failover changes which instance is the writer, and a bucket
    shows its lifecycle, which is a separate resource.
    """
    drift = {each["address"]: each["change"] for each in plan.get("resource_drift", [])}
    for resource in plan.get("resource_changes", []):
        address, change = resource["address"], resource["change"]
        if change["actions"] in (["no-op"], ["read"]):
            continue
        outside = _differences(drift[address]) if address in drift else set()
        if address in drift and drift[address]["after"] is None:
            yield f"infra must be applied: {address} was deleted outside Terraform"
        elif changed := sorted(outside & _differences(change)):
            yield (
                f"infra must be applied: {address} was changed outside Terraform "
                f"({', '.join(changed)})"
            )
        else:
            actions = " and ".join(change["actions"])
            yield f"infra must be applied: the configuration asks to {actions} {address}"
    for name, change in plan.get("output_changes", {}).items():
        if change["actions"] != ["no-op"]:
            yield f"infra must be applied: the output {name} is not up to date"


def _plan(terraform: Terraform, folder: Path) -> Plan:
    with (
        TemporaryDirectory(prefix="terraform-plan-") as temporary,
        without_secrets(terraform, folder) as place,
    ):
        file = f"{temporary}/plan"
        # Take no lock on the state: reading must not make somebody's apply fail.
        terraform.read(place, "plan", "-lock=false", f"-out={file}")
        plan: Plan = json.loads(terraform.read(place, "show", "-json", file))
        return plan


def _differences(change: Mapping[str, Any]) -> set[str]:
    """The attributes that differ; one that is only known after the apply counts."""
    before, after = _given(change["before"]), _given(change["after"])
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def _given(values: Mapping[str, Any] | None) -> Mapping[str, Any]:
    # After an apply the state has null where a refresh reads an empty value.
    return {n: v for n, v in (values or {}).items() if v not in (None, "", [], {})}


if __name__ == "__main__":
    sys.exit(exit_code(main))
