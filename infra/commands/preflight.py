"""Checks what must be gone before a data platform is destroyed."""

import time
from collections.abc import Callable, Sequence

import boto3

from infra.commands.consumers import consumption
from infra.config.environment import EnvironmentConfig
from infra.config.naming import global_name, resource_name
from infra.config.place import Place
from infra.policies.service_deployer import SERVICE_DEPLOYER, SERVICE_DEPLOYER_ACCESS
from shared.cli.aws import answering
from shared.cli.errors import UserError
from shared.naming import service_stage, stack_name

# Lambda deletes its network interfaces about 20 minutes after the last function that used them, and
# no API makes it faster.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
_LAMBDA_INTERFACES = "AWS Lambda VPC ENI*"
_LIMIT_SECONDS = 45 * 60
_POLL_SECONDS = 15.0


def check_destroy(environment: EnvironmentConfig) -> None:
    """Return once nothing protects or uses the data platform in any of its regions.

    Raises:
        UserError: a cluster is protected, a deployed service uses the platform, its deployer's
            policy is attached, other regions share its database, or network interfaces of
            functions stay too long.
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
            check_unprotected(region.region, environment.suffix)
            holders = deployer_policy_holders(region.region, environment.suffix)
            if holders:
                raise UserError(
                    f"the policy of the service's deployer in {region.region} is attached to "
                    f"{', '.join(holders)}: detach it first"
                )
        for region in environment.regions:
            wait_for_lambda_interfaces(region.region, environment.suffix)


def check_unprotected(region: str, environment: str) -> None:
    """Return unless the cluster is deployed with deletion protection, whatever the file says.

    Raises:
        UserError: it is; the text says how to lift the protection.
    """
    rds = boto3.client("rds", region_name=region)
    name = resource_name("cluster", region, environment)
    try:
        (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    except rds.exceptions.DBClusterNotFoundFault:
        return
    if cluster["DeletionProtection"]:
        raise UserError(
            f"the cluster {name} is deployed with deletion protection; nothing was destroyed. To "
            "lift it, set prevent_destroy = false under [protection], run `make deploy-infra`, "
            "and then this again"
        )


def consuming_stacks(region: str, environment: str) -> list[str]:
    """The CloudFormation stacks that use any of the environment's published values."""
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
    """Return if no other region depends on the database of the regions that go.

    In a global database, the members leave before the writer. The primary region goes last: its
    stack has the global database, and the secrets and keys of all regions.

    Raises:
        UserError: another region depends on it.
    """
    members = environment.settings.database.global_regions
    if not members:
        return
    primary, going = members[0], {region.region for region in environment.regions}
    writers = global_members(environment)
    staying = sorted(writers.keys() - going)
    if primary in going and staying:
        raise UserError(
            f"{', '.join(staying)} shares the database of {primary}: destroy that region first, "
            "or name all in REGIONS"
        )
    (writer,) = [region for region, writes in writers.items() if writes] or [primary]
    if writer != primary and writer in going:
        raise UserError(
            f"the database writes in {writer}: switch it over to {primary} first "
            "(docs/runbooks/region-failover.md)"
        )


def global_members(environment: EnvironmentConfig) -> dict[str, bool]:
    """The regions with a cluster in the environment's global database; true for the writer.

    There are none before the global database exists.
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
    """The users, groups and roles that deploy services by one of the environment's policies.

    IAM deletes no attached policy, and Terraform does not know where it is attached.
    """
    account = boto3.client("sts", region_name=region).get_caller_identity()["Account"]
    place = Place(account, region, environment)
    holders = [
        holder
        for role in (SERVICE_DEPLOYER, SERVICE_DEPLOYER_ACCESS)
        for holder in _policy_holders(place.iam(f"policy/{place.name('policy', role)}"), region)
    ]
    return list(dict.fromkeys(holders))


def _policy_holders(arn: str, region: str) -> list[str]:
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

    Until then AWS refuses to delete the subnets and the security group, and a destroy would hang.

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
