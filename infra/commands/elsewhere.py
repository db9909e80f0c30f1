"""Finds deployments in other regions and environments than the named ones."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

import boto3
from botocore.config import Config

from infra.config.environment import EnvironmentConfig
from shared.cli.aws import AWS_ERRORS
from shared.contract.loader import load_contract
from shared.naming import REGION_CODES, stack_name

# A region that is down must not hold up a deploy elsewhere.
_BRIEFLY = Config(connect_timeout=2, read_timeout=2, retries={"max_attempts": 0})


def deployed_elsewhere(environment: EnvironmentConfig) -> list[str]:
    """The regions that publish the environment's contract and are not in REGIONS.

    A region that does not answer within seconds, or that the credentials may not read, is left out.
    """
    path = load_contract().version_path(environment.suffix)
    named = {region.region for region in environment.regions}
    found = []
    for region in REGION_CODES:
        if region in named:
            continue
        with suppress(*AWS_ERRORS):
            boto3.client("ssm", region_name=region, config=_BRIEFLY).get_parameter(Name=path)
            found.append(region)
    return found


def deployed_beside(environment: EnvironmentConfig, region: str) -> list[str]:
    """The other environments that have a VPC in a region.

    There are none if the region does not answer within seconds, or the credentials may not read.
    """
    client = boto3.client("ec2", region_name=region, config=_BRIEFLY)
    any_stack = stack_name(region, "*")
    try:
        vpcs = client.describe_vpcs(Filters=[{"Name": "tag:Stack", "Values": [any_stack]}])["Vpcs"]
    except AWS_ERRORS:
        return []
    stacks = {tag["Value"] for vpc in vpcs for tag in vpc["Tags"] if tag["Key"] == "Stack"}
    return sorted({stack.removeprefix(any_stack[:-1]) for stack in stacks} - {environment.suffix})


def notes(environment: EnvironmentConfig, new: Iterable[str]) -> Iterator[str]:
    """What an operator may have forgotten; `new` are the regions where nothing is deployed yet."""
    for region in deployed_elsewhere(environment):
        yield f"note: {environment.suffix} is deployed in {region} as well; REGIONS lacks it"
    for region in new:
        if beside := deployed_beside(environment, region):
            yield (
                f"note: {environment.suffix} is new in {region}; deployed there are "
                f"{', '.join(beside)}"
            )
