"""Plans of all regions of an environment, each with its verdict, before anything is applied."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.commands.backup_settings import check_backups
from infra.commands.consumers import consumption, consumption_changes
from infra.commands.holdings import holdings
from infra.commands.running import with_what_runs
from infra.commands.vaults import full_vaults
from infra.commands.zones import check_zones
from infra.config.environment import EnvironmentConfig
from infra.gate.acceptance import refused
from infra.gate.changes import Plan, deployed_resources, missing_accounts
from infra.gate.obstacles import CLUSTER
from infra.gate.verdict import Verdict, judge
from infra.main import synthesize
from infra.terraform.backend import account_id, backend_arguments, stack_folder
from infra.terraform.messages import explained
from infra.terraform.program import Terraform
from shared.cli.errors import UserError
from shared.cli.in_regions import RegionRun, run_in_regions
from shared.contract.loader import load_contract
from shared.contract.published import read_published

_UNCHANGED = "No changes."
_PLANNED = re.compile(rf"Plan:|{re.escape(_UNCHANGED)}|Changes to Outputs:")
_SUFFIX = ".tfplan"


@dataclass(frozen=True)
class PlannedStack:
    """The plan of one region's stack. A stack without a `file` cannot be planned yet.

    That is a secondary region of a global database before it joins. Its state is empty, so its
    first apply can lose nothing. `words` is what Terraform printed, if there are several plans.
    """

    region: str
    folder: Path
    file: Path | None
    changes: bool
    verdict: Verdict = field(default_factory=Verdict)
    warnings: tuple[str, ...] = ()
    words: str = ""
    # What the clusters hold that the plan harms.
    holdings: tuple[str, ...] = ()
    # Nothing of it is deployed yet.
    new: bool = False

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.folder.name


def plan_stacks(
    environment: EnvironmentConfig,
    terraform: Terraform,
    plans: Path,
    *arguments: str,
    parallel: int,
) -> list[PlannedStack]:
    """Plan each region's stack into a file of the folder `plans`, and judge the plans.

    `arguments` go to Terraform. With several regions, Terraform's output is in their logs.

    Raises:
        UserError: Terraform or AWS failed, or a state is empty that should not be.
    """
    environment = _checked(environment)
    folders = initialized(environment, terraform)
    if len(folders) == 1:
        ((region, folder),) = folders.items()
        print(f"==> {folder.name}: terraform plan", flush=True)
        file = plan_file(plans, folder)
        changes = terraform.plan(folder, file, *arguments)
        return [_planned(environment, terraform, region, folder, file, changes=changes)]
    _, *later = environment.waves()
    joining = {
        region.region
        for wave in later
        for region in wave
        if terraform.state_is_empty(folders[region.region])
    }
    for region in joining:
        _check_state(environment, region, folders[region].name)
    runs = {
        region: terraform.in_region(
            region, folder, "plan", f"-out={plan_file(plans, folder)}", *arguments
        )
        for region, folder in folders.items()
        if region not in joining
    }
    run_explained([list(runs.values())], "plan", _PLANNED, parallel)
    found = []
    for region, folder in folders.items():
        if region in joining:
            found.append(PlannedStack(region, folder, None, changes=True))
            continue
        file, output = plan_file(plans, folder), runs[region].output()
        changes = not any(line.startswith(_UNCHANGED) for line in output)
        planned = _planned(environment, terraform, region, folder, file, changes=changes)
        found.append(replace(planned, words="\n".join(output)))
    return found


def saved_stacks(
    environment: EnvironmentConfig, terraform: Terraform, plans: Path
) -> list[PlannedStack]:
    """The plans that `make plan OUT=…` has saved in the folder `plans`, judged again.

    Raises:
        UserError: a stack has no saved plan there, or Terraform or AWS failed.
    """
    environment = _checked(environment)
    found = []
    _, *later = environment.waves()
    secondaries = {region.region for wave in later for region in wave}
    for region, folder in initialized(environment, terraform).items():
        file = plan_file(plans.resolve(), folder)
        if file.is_file():
            found.append(_planned(environment, terraform, region, folder, file, changes=True))
        elif region in secondaries and terraform.state_is_empty(folder):
            found.append(PlannedStack(region, folder, None, changes=True))
        else:
            raise UserError(
                f"PLAN {plans}: there is no plan of {folder.name}; make it with "
                f"`make plan OUT={plans}`"
            )
    return found


def warn(stacks: Sequence[PlannedStack]) -> None:
    """Tell standard error which deployed services the plans concern."""
    several = len(stacks) > 1
    for stack in stacks:
        for warning in stack.warnings:
            where = f"{stack.region}: " if several else ""
            print(f"{where}warning: {warning}", file=sys.stderr, flush=True)


def initialized(environment: EnvironmentConfig, terraform: Terraform) -> dict[str, Path]:
    """Synthesize the environment; its regions with their folders, ready for Terraform.

    Raises:
        UserError: there is no state bucket, or Terraform failed; it has said why.
    """
    synthesize(environment)
    found = {}
    for region in (region.region for region in environment.regions):
        folder = stack_folder(environment, region)
        terraform.init(folder, *backend_arguments(environment, region))
        found[region] = folder
    return found


def run_explained(
    waves: Sequence[Sequence[RegionRun]], command: str, result: re.Pattern[str], parallel: int
) -> None:
    """Run a Terraform command in regions, and explain the failures that it explains badly.

    Raises:
        UserError: it failed in a region; the end of the logs has been printed.
    """
    try:
        run_in_regions(waves, what=f"terraform {command}", result=result, parallel=parallel)
    except UserError as error:
        failed = [run for wave in waves for run in wave if run.state == "failed"]
        reasons = (
            explained("\n".join(run.output()), run.log.stem.removesuffix(f"-{command}"))
            for run in failed
        )
        raise UserError("; ".join([str(error), *filter(None, reasons)])) from None


@contextmanager
def plans_folder(named: str) -> Iterator[Path]:
    """The folder for plans: the one that is named, or a temporary one. Only its owner may read it.

    A plan has secrets in clear text.
    """
    if not named:
        with TemporaryDirectory(prefix="terraform-plan-") as temporary:
            yield Path(temporary)
        return
    folder = Path(named).resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        # Terraform writes into an older file without changing who may read it.
        for file in folder.glob(f"*{_SUFFIX}"):
            file.chmod(0o600)


def plan_file(plans: Path, folder: Path) -> Path:
    """The file of a stack's plan in a folder of plans."""
    return plans / f"{folder.name}{_SUFFIX}"


def read_plan(terraform: Terraform, folder: Path, file: Path) -> Mapping[str, Any]:
    """A saved plan, as `terraform show -json` prints it.

    Raises:
        UserError: Terraform failed; it has said why.
    """
    document: Mapping[str, Any] = json.loads(terraform.read(folder, "show", "-json", str(file)))
    return document


def check_state(environment: EnvironmentConfig, region: str, stack: str, plan: Plan) -> None:
    """Check that the plan starts from this account's state, and not from an empty one.

    Raises:
        UserError: the state is empty, and a deployed platform publishes the contract; or the state
            is of another account.
    """
    others = set(missing_accounts(plan))
    if others and (account := account_id(region)) not in others:
        raise UserError(
            f"the state of {stack} is of the account {', '.join(sorted(others))}, and the "
            f"credentials are of {account}: change the credentials, or STATE and STATE_DIR"
        )
    if not any(deployed_resources(plan)):
        _check_state(environment, region, stack)


def _checked(environment: EnvironmentConfig) -> EnvironmentConfig:
    """The environment as it can be planned, with what its databases run on."""
    print(f"==> {environment.described}", flush=True)
    check_zones(environment)
    check_backups(environment)
    return with_what_runs(environment)


def _check_state(environment: EnvironmentConfig, region: str, stack: str) -> None:
    path = load_contract().version_path(environment.suffix)
    if path in read_published([path], region):
        kept = "the state bucket" if environment.remote_state else str(environment.state_dir)
        raise UserError(
            f"the state of {stack} in {kept} is empty, but {path} says that the platform is "
            f"deployed in {region}: is STATE wrong, or is the state lost? See "
            "docs/runbooks/stuck-lock.md; a deploy would build a second platform over the first"
        )


def _planned(
    environment: EnvironmentConfig,
    terraform: Terraform,
    region: str,
    folder: Path,
    file: Path,
    *,
    changes: bool,
) -> PlannedStack:
    if not changes:
        return PlannedStack(region, folder, file, changes=False)
    plan = read_plan(terraform, folder, file)
    check_state(environment, region, folder.name, plan)
    consumed = consumption(region, environment.suffix)
    obstacles = (*refused(plan, region, environment.suffix), *full_vaults(plan))
    verdict = judge(plan, consumed, obstacles)
    harmed = {finding.address for finding in (*verdict.obstacles, *verdict.losses)}
    held = (
        holdings(values["cluster_identifier"], region, environment.suffix)
        for type_, address, values in deployed_resources(plan)
        if type_ == CLUSTER and address in harmed
    )
    return PlannedStack(
        region,
        folder,
        file,
        changes=bool(plan.get("applyable", True)),
        verdict=verdict,
        warnings=tuple(consumption_changes(plan, consumed)),
        holdings=tuple(filter(None, held)),
        new=not any(deployed_resources(plan)),
    )
