"""Security group rules for a prefix list.

AWS: a rule can name a prefix list, such as a gateway endpoint's.
ministack: drops the prefix list and its description.
Here: both are stored and returned. Remove once ministack stores them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import ec2

from local.emulator.ec2_actions import Parameters, Record, value


def install() -> None:
    """Store and return prefix lists."""
    ec2._parse_ip_permissions = _parsing(ec2._parse_ip_permissions)
    ec2._sg_rule_xml = _describing(ec2._sg_rule_xml)


def _parsing(original: Callable[[Parameters, str], list[Record]]) -> Any:
    def parse(parameters: Parameters, prefix: str) -> list[Record]:
        rules = original(parameters, prefix)
        for number, rule in enumerate(rules, 1):
            rule["PrefixListIds"] = _prefix_lists(parameters, f"{prefix}.{number}.PrefixListIds")
        return rules

    return parse


def _prefix_lists(parameters: Parameters, prefix: str) -> list[Record]:
    found: list[Record] = []
    while identifier := value(parameters, f"{prefix}.{len(found) + 1}.PrefixListId"):
        description = value(parameters, f"{prefix}.{len(found) + 1}.Description")
        found.append(
            {"PrefixListId": identifier} | ({"Description": description} if description else {})
        )
    return found


def _describing(original: Callable[..., str]) -> Any:
    def describe(group: str, rule: Record, is_egress: bool = False) -> str:
        described = original(group, rule, is_egress)
        # A rule has one peer, and ministack knows no prefix lists: its own answer has no peer.
        for prefix_list in rule.get("PrefixListIds", []):
            element = f"<prefixListId>{prefix_list['PrefixListId']}</prefixListId>"
            described = described.replace("</toPort>", f"</toPort>{element}")
        return described

    return describe
