"""Attributes of VPC endpoints.

AWS: stores an endpoint's security groups, private DNS, policy and IP address type.
ministack: drops them, so each Terraform plan wants to set them again.
Here: they are stored, changed and returned. Remove once ministack stores them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import ec2

from local.emulator.ec2_actions import Parameters, Record, after_creation, value

_DEFAULT_POLICY = json.dumps(
    {"Statement": [{"Action": "*", "Effect": "Allow", "Principal": "*", "Resource": "*"}]}
)


def install() -> None:
    """Store, change and return the attributes."""
    after_creation("CreateVpcEndpoint", ec2._vpc_endpoints, _keep)
    ec2._ACTION_MAP["ModifyVpcEndpoint"] = _modifying(ec2._ACTION_MAP["ModifyVpcEndpoint"])
    ec2._vpce_fields_xml = _describing(ec2._vpce_fields_xml)


def _keep(parameters: Parameters, endpoint: Record) -> None:
    endpoint.update(
        PolicyDocument=value(parameters, "PolicyDocument") or _DEFAULT_POLICY,
        IpAddressType=value(parameters, "IpAddressType") or "ipv4",
        PrivateDnsEnabled=value(parameters, "PrivateDnsEnabled") == "true",
        SecurityGroupIds=ec2._parse_member_list(parameters, "SecurityGroupId"),
    )


def _modifying(original: Any) -> Any:
    def handle(parameters: Parameters) -> Any:
        response = original(parameters)
        endpoint = ec2._vpc_endpoints.get(value(parameters, "VpcEndpointId"))
        if endpoint is not None:
            if private_dns := value(parameters, "PrivateDnsEnabled"):
                endpoint["PrivateDnsEnabled"] = private_dns == "true"
            if value(parameters, "ResetPolicy") == "true":
                endpoint["PolicyDocument"] = _DEFAULT_POLICY
            removed = ec2._parse_member_list(parameters, "RemoveSecurityGroupId")
            added = ec2._parse_member_list(parameters, "AddSecurityGroupId")
            kept = [group for group in endpoint["SecurityGroupIds"] if group not in removed]
            endpoint["SecurityGroupIds"] = list(dict.fromkeys(kept + added))
        return response

    return handle


def _describing(original: Callable[..., str]) -> Callable[..., str]:
    def describe(endpoint: Record, tag: str = "item") -> str:
        if "PrivateDnsEnabled" not in endpoint:  # just created: the record is not complete yet
            return original(endpoint, tag)
        groups = "".join(
            f"<item><groupId>{group}</groupId><groupName>{_group_name(group)}</groupName></item>"
            for group in endpoint["SecurityGroupIds"]
        )
        added = (
            f"<groupSet>{groups}</groupSet>"
            f"<privateDnsEnabled>{str(endpoint['PrivateDnsEnabled']).lower()}</privateDnsEnabled>"
            f"<policyDocument>{escape(endpoint['PolicyDocument'])}</policyDocument>"
            f"<ipAddressType>{endpoint['IpAddressType']}</ipAddressType>"
        )
        return original(endpoint, tag).removesuffix(f"</{tag}>") + f"{added}</{tag}>"

    return describe


def _group_name(group: str) -> str:
    return escape((ec2._security_groups.get(group) or {}).get("GroupName", ""))
