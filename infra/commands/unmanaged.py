"""Finds what somebody has added to a stack's resources where no plan shows it.

Rules of security groups, policies of roles, and published values are resources of their own: a plan
knows those that Terraform created, and no others.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import boto3

from infra.gate.changes import Plan, deployed_resources
from shared.cli.aws import answering
from shared.naming import PLATFORM

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import SecurityGroupRuleTypeDef

_GROUP = "aws_security_group"
_RULES = ("aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule")
_ROLE = "aws_iam_role"
_ATTACHMENT = "aws_iam_role_policy_attachment"
_INLINE = "aws_iam_role_policy"
_PARAMETER = "aws_ssm_parameter"


def unmanaged(plan: Plan, region: str, environment: str) -> Iterator[str]:
    """What the platform team must remove; `plan` is the JSON of `terraform show -json`.

    Raises:
        UserError: AWS does not answer.
    """
    yield from _rules(plan, region)
    yield from _policies(plan, region)
    yield from _parameters(plan, region, environment)


def _rules(plan: Plan, region: str) -> Iterator[str]:
    groups = {group["id"]: group["name"] for group in _deployed(plan, _GROUP)}
    made = {rule["security_group_rule_id"] for rule in _deployed(plan, *_RULES)}
    if not groups:
        return
    ec2 = boto3.client("ec2", region_name=region)
    pages = ec2.get_paginator("describe_security_group_rules").paginate(
        Filters=[{"Name": "group-id", "Values": list(groups)}]
    )
    with answering(region, "EC2"):
        for rule in (rule for page in pages for rule in page["SecurityGroupRules"]):
            if rule["SecurityGroupRuleId"] not in made:
                yield (
                    f"infra must remove {rule['SecurityGroupRuleId']} from the security group "
                    f"{groups[rule['GroupId']]}: {_described(rule)}"
                )


def _policies(plan: Plan, region: str) -> Iterator[str]:
    attached = {(each["role"], each["policy_arn"]) for each in _deployed(plan, _ATTACHMENT)}
    inline = {(each["role"], each["name"]) for each in _deployed(plan, _INLINE)}
    iam = boto3.client("iam", region_name=region)
    with answering(region, "IAM"):
        for role in (each["name"] for each in _deployed(plan, _ROLE)):
            for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
                if (role, policy["PolicyArn"]) not in attached:
                    yield f"infra must detach {policy['PolicyArn']} from the role {role}"
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                if (role, name) not in inline:
                    yield f"infra must delete the policy {name} of the role {role}"


def _parameters(plan: Plan, region: str, environment: str) -> Iterator[str]:
    published = {each["name"] for each in _deployed(plan, _PARAMETER)}
    if not published:
        return
    ssm = boto3.client("ssm", region_name=region)
    pages = ssm.get_paginator("describe_parameters").paginate(
        ParameterFilters=[
            {"Key": "Name", "Option": "BeginsWith", "Values": [f"/{PLATFORM}/{environment}/"]}
        ]
    )
    with answering(region, "SSM"):
        names = {parameter["Name"] for page in pages for parameter in page["Parameters"]}
    for name in sorted(names - published):
        yield f"infra must delete the parameter {name}: the contract does not have it"


def _deployed(plan: Plan, *types: str) -> Iterator[Mapping[str, Any]]:
    """The attributes of each deployed resource of these types."""
    return (values for type_, _, values in deployed_resources(plan) if type_ in types)


def _described(rule: "SecurityGroupRuleTypeDef") -> str:
    peer = (
        rule.get("CidrIpv4")
        or rule.get("CidrIpv6")
        or rule.get("PrefixListId")
        or rule.get("ReferencedGroupInfo", {}).get("GroupId", "")
    )
    direction = "to" if rule["IsEgress"] else "from"
    ports = "" if rule["IpProtocol"] == "-1" else f", ports {rule['FromPort']} to {rule['ToPort']}"
    return f"traffic {direction} {peer}, protocol {rule['IpProtocol']}{ports}"
