"""Sets up and fills Terraform's remote state: `python -m infra.commands.remote_state bootstrap`."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import boto3
from botocore.exceptions import ClientError

from infra.config.environment import EnvironmentConfig, load_environment
from infra.config.naming import state_stack_name
from infra.main import synthesize
from infra.terraform.backend import account_id, backend_arguments, state_bucket_exists
from infra.terraform.program import Terraform, installed_terraform
from shared.cli.errors import UserError, exit_code
from shared.naming import PLATFORM


def bootstrap(environment: EnvironmentConfig, terraform: Terraform) -> None:
    """Create or update the state bucket and lock table of each region.

    Their own state is kept in that bucket as well. The first time there is no bucket: the state
    starts as a local file and then moves. An interrupted run continues from that file.

    Raises:
        UserError: Terraform failed; it has said why.
    """
    for region in (region.region for region in environment.regions):
        name = state_stack_name(region)
        folder = environment.out_dir / "stacks" / name
        print(f"==> {name}: terraform apply", flush=True)
        began_locally = environment.local_state_file(name).exists()
        first = began_locally or not state_bucket_exists(region, account_id(region))
        environment = replace(environment, sets_api_logs_role=sets_api_logs_role(region))
        now = replace(environment, remote_state=not first)
        synthesize(now)
        terraform.init(folder, *backend_arguments(now, region))
        terraform.run(folder, "apply")
        if first:
            synthesize(environment)
            _move(environment, terraform, region, name)


def ensure(environment: EnvironmentConfig, terraform: Terraform) -> None:
    """Bootstrap the regions that lack what it creates, so that a first deploy needs no other step.

    Raises:
        UserError: Terraform failed; it has said why.
    """
    missing = tuple(
        region
        for region in environment.regions
        if not state_bucket_exists(region.region, account_id(region.region))
        or not api_logs_role(region.region)
    )
    if missing:
        bootstrap(replace(environment, regions=missing), terraform)


def api_logs_role(region: str) -> str:
    """The ARN of the role with which API Gateway writes logs in a region; empty if it has none.

    Raises:
        UserError: the credentials may not ask API Gateway.
    """
    try:
        account = boto3.client("apigateway", region_name=region).get_account()
    except ClientError as error:
        raise UserError(f"cannot see whether API Gateway may write logs: {error}") from None
    return account.get("cloudwatchRoleArn") or ""


def sets_api_logs_role(region: str) -> bool:
    """Whether the state stack sets that role: it replaces none but the project's own."""
    role = api_logs_role(region)
    return not role or f":role/{PLATFORM}-" in role


def migrate(environment: EnvironmentConfig, terraform: Terraform) -> None:
    """Move the environment's local states into the state buckets.

    Terraform refuses to overwrite the state of another deployment, or a newer one. The local file
    is kept under another name.

    Raises:
        UserError: a region has no local state, or Terraform failed; it has said why.
    """
    for name in environment.stack_names():
        file = environment.local_state_file(name)
        if not file.exists():
            raise UserError(f"{file}: there is no such local state to move")
    synthesize(environment)
    for region, name in zip(environment.regions, environment.stack_names(), strict=True):
        _move(environment, terraform, region.region, name)


def unlock(environment: EnvironmentConfig, terraform: Terraform) -> None:
    """Release the locks that a killed Terraform has left on a state, by their ID.

    Terraform compares the ID, so a lock that somebody else took later stays.

    Raises:
        UserError: `LOCK_ID` or one region is not named, or Terraform failed; it has said why.
    """
    lock = os.environ.get("LOCK_ID")
    if not lock or len(environment.regions) > 1:
        raise UserError(
            "name the lock and its region: `make unlock-state LOCK_ID=… REGIONS=…`; the ID is in "
            "the message of the refused command"
        )
    synthesize(environment)
    (region,), (name,) = environment.regions, environment.stack_names()
    folder = environment.out_dir / "stacks" / name
    terraform.init(folder, *backend_arguments(environment, region.region))
    terraform.run(folder, "force-unlock", "-force", lock)


def _move(environment: EnvironmentConfig, terraform: Terraform, region: str, name: str) -> None:
    folder = environment.out_dir / "stacks" / name
    file = environment.local_state_file(name)
    terraform.init(folder, *backend_arguments(environment, region))
    terraform.run(folder, "state", "push", str(file))
    kept = file.rename(file.with_suffix(".moved"))
    print(f"==> {name}: its state is in the state bucket now; the file is kept as {kept}")


_COMMANDS: Mapping[str, Callable[[EnvironmentConfig, Terraform], None]] = {
    "bootstrap": bootstrap,
    "migrate": migrate,
    "unlock": unlock,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command for the regions of the environment.

    Raises:
        UserError: it failed; the text says what to do.
    """
    parser = argparse.ArgumentParser(
        prog="python -m infra.commands.remote_state", description=__doc__
    )
    parser.add_argument("command", choices=list(_COMMANDS))
    command = parser.parse_args(arguments).command
    environment = replace(load_environment(os.environ), remote_state=True)
    with installed_terraform(os.environ) as terraform:
        _COMMANDS[command](environment, terraform)


if __name__ == "__main__":
    sys.exit(exit_code(main))
