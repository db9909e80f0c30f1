"""What must not be there any more before a data platform is destroyed."""

import time
from collections.abc import Callable, Sequence

import boto3

from infra.commands.consumers import consumption
from infra.config.environment import EnvironmentConfig
from infra.config.naming import global_name
from infra.config.place import Place
from infra.policies.service_deployer import SERVICE_DEPLOYER
from shared.cli.aws import answering
from shared.cli.errors import UserError
from shared.naming import service_stage, stack_name

# Lambda gives its network interfaces back some 20 minutes after the last function that used them
# is gone, and no API hastens it.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
_LAMBDA_INTERFACES = "AWS Lambda VPC ENI*"
_LIMIT_SECONDS = 45 * 60
_POLL_SECONDS = 15.0


def check_destroy(environment: EnvironmentConfig) -> None:
    """Return once nothing that Terraform does not own holds on to the data platform.

    Raises:
        UserError: a deployed service consumes it, its deployer's policy is in use, other regions
            share its database, or functions' network interfaces stay too long.
    """
    with answering(environment.regions[0].region):
        check_sharing(environment)
        for region in environment.regions:
            consumers = consuming_stacks(region.region, environment.suffix)
            if consumers:
                raise UserError(
                    f"{', '.join(consumers)} in {region.region} uses this data platform: "
                    f"run `{removal(consumers, region.region, environment.suffix)}` first"
                )
            holders = deployer_policy_holders(region.region, environment.suffix)
            if holders:
                raise UserError(
                    f"the policy of the service's deployer in {region.region} is attached to "
                    f"{', '.join(holders)}: detach it first"
                )
        for region in environment.regions:
            wait_for_lambda_interfaces(region.region, environment.suffix)


def consuming_stacks(region: str, environment: str) -> list[str]:
    """The CloudFormation stacks that take any of the environment's published values."""
    found = consumption(region, environment).values()
    return sorted({stack for stacks in found for stack in stacks})


def removal(stacks: Sequence[str], region: str, environment: str) -> str:
    """The command that removes stacks of the service, one for each preview."""
    stages = [service_stage(stack, region, environment) for stack in stacks]
    return " && ".join(
        dict.fromkeys(
            f"make destroy-service SERVICE_STAGE={stage}" if stage else "make destroy-service"
            for stage in stages
        )
    )


def check_sharing(environment: EnvironmentConfig) -> None:
    """Return if no other region needs what the environment's regions have of a global database.

    A member leaves before the one that writes does, and the primary region's stack, which has the
    global database, the secrets and the keys of all regions, goes last.

    Raises:
        UserError: one does.
    """
    members = environment.settings.database.global_regions
    if not members:
        return
    primary, going = members[0], {region.region for region in environment.regions}
    writers = global_members(environment)
    staying = sorted(writers.keys() - going)
    if primary in going and staying:
        raise UserError(
            f"{', '.join(staying)} shares the database of {primary}: destroy that region before, "
            "or name all in REGIONS"
        )
    (writer,) = [region for region, writes in writers.items() if writes] or [primary]
    if writer != primary and writer in going:
        raise UserError(
            f"the database writes in {writer}: switch it over to {primary} first "
            "(docs/runbooks/region-failover.md)"
        )


def global_members(environment: EnvironmentConfig) -> dict[str, bool]:
    """The regions that have a cluster in the environment's global database, and which one writes.

    There are none before it is made.
    """
    rds = boto3.client("rds", region_name=environment.regions[0].region)
    try:
        found = rds.describe_global_clusters(
            GlobalClusterIdentifier=global_name(environment.suffix)
        )["GlobalClusters"]
    except rds.exceptions.GlobalClusterNotFoundFault:
        return {}
    return {
        member["DBClusterArn"].split(":")[3]: member["IsWriter"]
        for cluster in found
        for member in cluster["GlobalClusterMembers"]
    }


def deployer_policy_holders(region: str, environment: str) -> list[str]:
    """The users, groups and roles that deploy services by the environment's policy.

    IAM deletes no policy that is attached, and Terraform does not know to whom it is.
    """
    account = boto3.client("sts", region_name=region).get_caller_identity()["Account"]
    place = Place(account, region, environment)
    arn = place.iam(f"policy/{place.name('policy', SERVICE_DEPLOYER)}")
    iam = boto3.client("iam", region_name=region)
    try:
        found = iam.list_entities_for_policy(PolicyArn=arn)
    except iam.exceptions.NoSuchEntityException:
        return []
    return [
        *(f"user {user['UserName']}" for user in found["PolicyUsers"]),
        *(f"group {group['GroupName']}" for group in found["PolicyGroups"]),
        *(f"role {role['RoleName']}" for role in found["PolicyRoles"]),
    ]


def wait_for_lambda_interfaces(
    region: str,
    environment: str,
    *,
    limit_seconds: float = _LIMIT_SECONDS,
    poll_seconds: float = _POLL_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until Lambda has removed its network interfaces from the platform's VPC.

    They hold the subnets and the security group, so that a destroy would hang for as long.

    Raises:
        UserError: some are still there after `limit_seconds`.
    """
    ec2 = boto3.client("ec2", region_name=region)
    stack = stack_name(region, environment)
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "tag:Stack", "Values": [stack]}])["Vpcs"]
    if not vpcs:
        return
    started = time.monotonic()
    while True:
        found = ec2.describe_network_interfaces(
            Filters=[
                {"Name": "vpc-id", "Values": [vpc["VpcId"] for vpc in vpcs]},
                {"Name": "description", "Values": [_LAMBDA_INTERFACES]},
            ]
        )["NetworkInterfaces"]
        if not found:
            return
        names = ", ".join(interface["NetworkInterfaceId"] for interface in found)
        waited = time.monotonic() - started
        if waited >= limit_seconds:
            raise UserError(
                f"Lambda still has network interfaces in {stack} after {waited / 60:.0f} minutes "
                f"({names}): does a function use its subnets?"
            )
        print(
            f"==> {stack}: {len(found)} network interfaces of removed functions are left after "
            f"{waited:.0f} s; AWS takes up to 40 minutes ({names})",
            flush=True,
        )
        sleep(poll_seconds)
