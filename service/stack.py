"""Deploys the service with the SAM CLI: `python -m service.stack deploy`."""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shared.connections import (
    RESERVED_CONCURRENCY,
    check_reserved_concurrency,
    default_reserved_concurrency,
)
from shared.contract import Contract, load_contract
from shared.errors import UserError, exit_code
from shared.naming import check_environment_suffix, check_regions, service_stack_name
from shared.template import parameter_overrides

FOLDER = Path(__file__).parent
TEMPLATE = FOLDER / "template.yaml"
BUILT_TEMPLATE = FOLDER / ".aws-sam" / "build" / "template.yaml"


def deploy(region: str, environment: str) -> None:
    """Release the built service in one region.

    Raises:
        UserError: the service is not built, the data platform is not there or has too few database
            connections for it, or SAM failed.
    """
    if not BUILT_TEMPLATE.is_file():
        raise UserError("the service is not built: run `make build-service`")
    contract = load_contract()
    stack = service_stack_name(region, environment)
    overrides = {
        "EnvironmentSuffix": environment,
        "LambdaArchitecture": os.environ.get("LAMBDA_ARCHITECTURE", "arm64"),
        **parameter_overrides(TEMPLATE, contract, environment),
    }
    reserved = overrides.get(RESERVED_CONCURRENCY) or default_reserved_concurrency(TEMPLATE)
    budget = _published(contract, "DatabaseConnectionBudget", region, environment)
    check_reserved_concurrency(int(reserved), int(budget))
    _sam(
        "deploy",
        f"--template-file={BUILT_TEMPLATE}",
        f"--config-file={FOLDER / 'samconfig.toml'}",
        f"--stack-name={stack}",
        f"--region={region}",
        f"--s3-bucket={_published(contract, 'ArtifactBucketName', region, environment)}",
        f"--s3-prefix={stack}",
        "--parameter-overrides",
        *(f"{name}={value}" for name, value in overrides.items()),
    )


def delete(region: str, environment: str) -> None:
    """Remove the service from one region; the trades stay in the data platform's database.

    Raises:
        UserError: SAM failed.
    """
    stack = service_stack_name(region, environment)
    _sam(
        "delete",
        "--no-prompts",
        f"--stack-name={stack}",
        f"--region={region}",
        f"--s3-bucket={_published(load_contract(), 'ArtifactBucketName', region, environment)}",
        f"--s3-prefix={stack}",
    )


def invoke(region: str, environment: str) -> None:
    """Send the event in the file `EVENT` to the deployed function and print its answer.

    Raises:
        UserError: there is no such file, or SAM failed.
    """
    event = Path(os.environ.get("EVENT") or FOLDER / "events" / "post_trade.json")
    if not event.is_file():
        raise UserError(f"EVENT {event}: there is no such file")
    _sam(
        "remote",
        "invoke",
        "TradeFunction",
        f"--stack-name={service_stack_name(region, environment)}",
        f"--region={region}",
        f"--event-file={event}",
    )


_COMMANDS: Mapping[str, Callable[[str, str], None]] = {
    "deploy": deploy,
    "delete": delete,
    "invoke": invoke,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command in each of the environment's regions (`ENVIRONMENT_SUFFIX`, `REGIONS`).

    Raises:
        UserError: a variable has a value that cannot be used, or the command failed.
    """
    parser = argparse.ArgumentParser(prog="python -m service.stack", description=__doc__)
    parser.add_argument("command", choices=list(_COMMANDS))
    command = parser.parse_args(arguments).command
    environment = check_environment_suffix(os.environ.get("ENVIRONMENT_SUFFIX", "dev"))
    for region in check_regions(os.environ.get("REGIONS", "us-east-1")):
        print(f"==> {service_stack_name(region, environment)}: {command}", flush=True)
        _COMMANDS[command](region, environment)


def _published(contract: Contract, name: str, region: str, environment: str) -> str:
    ssm = boto3.client("ssm", region_name=region)
    try:
        answer = ssm.get_parameter(Name=contract.path(contract[name], environment))
    except ssm.exceptions.ParameterNotFound:
        raise UserError(
            f"there is no data platform for the environment {environment} in {region}: "
            "run `make deploy-infra` first"
        ) from None
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"SSM Parameter Store in {region} does not answer: {error}") from None
    value: str = answer["Parameter"]["Value"]
    return value


def _sam(*arguments: str) -> None:
    finished = subprocess.run(["sam", *arguments], check=False)
    if finished.returncode != 0:
        raise UserError(f"sam {arguments[0]} failed; its output above says why")


if __name__ == "__main__":
    sys.exit(exit_code(main))
