"""Checks the zones of an environment by their ids, which only an account's own API knows."""

from collections.abc import Mapping

import boto3

from infra.config.environment import EnvironmentConfig
from infra.config.regions import RegionConfig
from shared.cli.aws import answering
from shared.cli.errors import UserError

# Zones in which AWS does not offer all that the platform needs. A letter is another zone in each
# account; an id is the same zone everywhere.
# https://docs.aws.amazon.com/ram/latest/userguide/working-with-az-ids.html
# RDS Proxy drops the subnet without an error, Lambda and NAT gateways refuse it. The page of the
# provider on proxies names this zone:
# https://registry.terraform.io/providers/hashicorp/aws/5.100.0/docs/resources/db_proxy
# https://github.com/hashicorp/terraform-provider-aws/issues/17781
# https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html
_INCOMPLETE: Mapping[str, str] = {"use1-az3": "RDS Proxy, Lambda and NAT gateways"}


def check_zones(environment: EnvironmentConfig) -> None:
    """Do nothing if each zone of the environment is available and has all services.

    Raises:
        UserError: one is not, or AWS does not answer; the text names the zones to use instead.
    """
    for region in environment.regions:
        with answering(region.region):
            _check(region)


def _check(region: RegionConfig) -> None:
    ec2 = boto3.client("ec2", region_name=region.region)
    available = {
        zone["ZoneName"]: zone["ZoneId"]
        for zone in ec2.describe_availability_zones()["AvailabilityZones"]
        if zone["State"] == "available"
    }
    usable = [name for name, id_ in available.items() if id_ not in _INCOMPLETE]
    letters = ", ".join(sorted(name.removeprefix(region.region) for name in usable))
    for zone in region.zones:
        if zone.name not in available:
            reason = f"{zone.name} is not available to this account"
        elif zone.name not in usable:
            id_ = available[zone.name]
            reason = f"{zone.name} is {id_} in this account, which lacks {_INCOMPLETE[id_]}"
        else:
            continue
        raise UserError(
            f"network.zones {list(region.zone_letters)}: {reason}; choose from {letters}"
        )
