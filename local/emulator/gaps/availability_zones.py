"""The zones of a region, and their ids.

AWS: regions differ in their number of zones, and accounts in the ids of the zones.
ministack: every region has the zones a, b and c, with the ids 1, 2 and 3.
Here: a region has the zones of the platform's table. In us-east-1 the zone e has the id 3, as in
many accounts; that zone lacks some services. Remove once ministack lets the zones be configured.
"""

from __future__ import annotations

from typing import Any

from ministack.services import ec2

from local.emulator.ec2_actions import Parameters
from shared.regions import REGIONS

_ACTION = "DescribeAvailabilityZones"
_SWAPPED = {"us-east-1c": "us-east-1e", "us-east-1e": "us-east-1c"}


def install() -> None:
    """Return the zones of the platform's table."""
    id_by_letter = ec2._az_id_for_zone_name

    def zone_id(name: str) -> Any:
        return id_by_letter(_SWAPPED.get(name, name))

    def describe(_: Parameters) -> Any:
        region = ec2.get_region()
        letters = REGIONS[region].zones if region in REGIONS else "abc"
        items = "".join(_item(region, f"{region}{letter}") for letter in letters)
        return ec2._xml(
            200,
            f"{_ACTION}Response",
            f"<availabilityZoneInfo>{items}</availabilityZoneInfo>",
        )

    ec2._az_id_for_zone_name = zone_id
    ec2._ACTION_MAP[_ACTION] = describe


def _item(region: str, name: str) -> str:
    return (
        f"<item><zoneName>{name}</zoneName><zoneState>available</zoneState>"
        f"<regionName>{region}</regionName><zoneId>{ec2._az_id_for_zone_name(name)}</zoneId>"
        f"<groupName>{region}-zg-1</groupName><networkBorderGroup>{region}</networkBorderGroup>"
        "<optInStatus>opt-in-not-required</optInStatus><zoneType>availability-zone</zoneType></item>"
    )
