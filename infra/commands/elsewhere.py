"""Finds regions in which an environment is deployed although REGIONS does not name them."""

from contextlib import suppress

import boto3
from botocore.config import Config

from infra.config.environment import EnvironmentConfig
from shared.cli.aws import AWS_ERRORS
from shared.contract.loader import load_contract
from shared.naming import REGION_CODES

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
