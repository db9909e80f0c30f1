"""Filters of DescribeNetworkInterfaces.

AWS: returns the interfaces that match all filters, with `*` and `?` as wildcards.
ministack: ignores the filters.
Here: filters on VPC, subnet, security group, status and description work. Remove once ministack
supports them.
"""

from __future__ import annotations

from typing import Any

from ministack.services import ec2

from local.emulator.ec2_actions import Parameters, Record

_ACTION = "DescribeNetworkInterfaces"
_FIELDS = {
    "description": "Description",
    "status": "Status",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
}


def install() -> None:
    """Return only the interfaces that match."""
    original = ec2._ACTION_MAP[_ACTION]

    def describe(parameters: Parameters) -> Any:
        filters = ec2._parse_filters(parameters)
        named = ec2._parse_member_list(parameters, "NetworkInterfaceId")
        matching = [
            identifier
            for identifier, interface in ec2._network_interfaces.items()
            if (not named or identifier in named) and _matches(interface, filters)
        ]
        # Without a name, ministack returns all.
        return original(
            {f"NetworkInterfaceId.{number}": [i] for number, i in enumerate(matching or ["-"], 1)}
        )

    ec2._ACTION_MAP[_ACTION] = describe


def _matches(interface: Record, filters: dict[str, list[str]]) -> bool:
    return all(
        any(ec2._filter_value_matches(value, wanted) for value in _values(interface, name))
        for name, wanted in filters.items()
        if name in _FIELDS or name == "group-id"
    )


def _values(interface: Record, name: str) -> list[str]:
    if name == "group-id":
        return [group["GroupId"] for group in interface.get("Groups", [])]
    return [interface.get(_FIELDS[name], "")]
