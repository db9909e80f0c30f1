"""Security group rules for all protocols.

AWS: such a rule has no ports, whatever a request says of them; so Terraform's provider revokes the
rule that a new group begins with, all traffic out, and names the ports 0 to 0.
ministack: tells rules apart by the ports that were named: the first rule stays.
Here: the ports of such rules are dropped. Remove once ministack does so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import ec2

from local.emulator.ec2_actions import Parameters, Record

_ALL = "-1"


def install() -> None:
    """Drop the ports of what is parsed."""
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
