"""Security group rules for all protocols.

AWS: such a rule has no ports; AWS ignores those in the request. A new group allows all outgoing
traffic. Terraform's provider revokes that rule and gives the ports 0 to 0.
ministack: compares the ports, so it does not find the rule and keeps it.
Here: the ports of such rules are dropped. Remove once ministack drops them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import ec2

from local.emulator.ec2_actions import Parameters, Record

_ALL = "-1"


def install() -> None:
    """Drop the ports when ministack parses such a rule."""
    ec2._parse_ip_permissions = _parsing(ec2._parse_ip_permissions)


def _parsing(original: Callable[[Parameters, str], list[Record]]) -> Any:
    def parse(parameters: Parameters, prefix: str) -> list[Record]:
        rules = original(parameters, prefix)
        for rule in rules:
            if rule["IpProtocol"] == _ALL:
                rule.pop("FromPort", None)
                rule.pop("ToPort", None)
        return rules

    return parse
