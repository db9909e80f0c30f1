"""What stops `make destroy-infra` before it starts, on an emulated account."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from infra.commands import destroy
from infra.commands.preflight import (
    check_sharing,
    deployer_policy_holders,
    removal,
    wait_for_lambda_interfaces,
)
from infra.config.environment import load_environment
from infra.config.naming import global_name
from shared.cli.errors import UserError
from shared.contract.loader import load_contract
from tests.support.emulator import Emulator, until

REGION = "us-east-1"


@pytest.fixture
def environment(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """An environment with published values but no deployed stack."""
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "going")
    contract = load_contract()
    aws.client("ssm").put_parameter(
        Name=contract.path(contract["DatabaseName"], "going"),
        Value="trading",
        Type="String",
        Overwrite=True,
    )
    return "going"


@pytest.fixture
def preview(aws: Emulator, environment: str) -> Iterator[str]:
    """A stack with an unusual name that uses one of the environment's values."""
    contract = load_contract()
    cloudformation = aws.client("cloudformation")
    template = {
        "Parameters": {"Database": {"Type": "AWS::SSM::Parameter::Value<String>"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    }
    cloudformation.create_stack(
        StackName="preview-of-a-branch",
        TemplateBody=json.dumps(template),
        Parameters=[
            {
                "ParameterKey": "Database",
                "ParameterValue": contract.path(contract["DatabaseName"], environment),
            }
        ],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="preview-of-a-branch", WaiterConfig={"Delay": 1}
    )
    yield "preview-of-a-branch"
    cloudformation.delete_stack(StackName="preview-of-a-branch")


@pytest.fixture
def interface(aws: Emulator, environment: str) -> Iterator[str]:
    """A network interface that Lambda left in the platform's VPC, and one of another kind."""
    ec2 = aws.client("ec2")
    tag = {"Key": "Stack", "Value": f"trading-platform-useast1-{environment}"}
    vpc = ec2.create_vpc(
        CidrBlock="10.99.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [tag]}],
    )["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.99.0.0/24")["Subnet"]["SubnetId"]
    made = [
        ec2.create_network_interface(SubnetId=subnet, Description=description)["NetworkInterface"][
            "NetworkInterfaceId"
        ]
        for description in ("AWS Lambda VPC ENI-service-1a2b", "RDSNetworkInterface")
    ]
    yield made[0]
    remaining = ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [vpc]}])[
        "NetworkInterfaces"
    ]
    for found in remaining:
        ec2.delete_network_interface(NetworkInterfaceId=found["NetworkInterfaceId"])
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


def test_a_deployed_service_is_named_and_the_destroy_refused(
    preview: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError) as refused:
        destroy.main()
    assert str(refused.value) == (
        f"{preview} in us-east-1 uses this data platform: run `make destroy-service` first"
    )
    assert "terraform destroy" not in capfd.readouterr().out


def test_each_preview_is_named_with_the_command_that_removes_it(environment: str) -> None:
    own = "trading-platform-service-useast1-going"
    stacks = [own, f"{own}--pr-1", f"{own}--pr-2", "preview-of-a-branch"]
    assert removal(stacks, REGION, environment) == (
        "make destroy-service && make destroy-service SERVICE_STAGE=pr-1 "
        "&& make destroy-service SERVICE_STAGE=pr-2"
    )


def test_a_service_of_another_environment_does_not_matter(
    preview: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "other")
    destroy.main()
    assert "Destroy complete! Resources: 0 destroyed." in capfd.readouterr().out


def test_a_destroy_waits_for_lambdas_network_interfaces_and_says_so(
    aws: Emulator, environment: str, interface: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ec2: Any = aws.client("ec2")
    waiting = threading.Thread(
        target=wait_for_lambda_interfaces,
        args=(REGION, environment),
        kwargs={"poll_seconds": 0.1},
    )
    waiting.start()
    until(lambda: interface in capsys.readouterr().out, "the progress to be shown")
    assert waiting.is_alive()
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    waiting.join(timeout=10)
    assert not waiting.is_alive()


def test_the_wait_has_an_end_and_names_what_is_left(environment: str, interface: str) -> None:
    with pytest.raises(UserError, match=rf"after 0 minutes \({interface}\)"):
        wait_for_lambda_interfaces(REGION, environment, limit_seconds=0)


@pytest.mark.parametrize("service", ["CLOUDFORMATION", "EC2"])
def test_an_account_that_does_not_answer_is_one_clear_line(
    environment: str, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UserError, match="AWS in us-east-1 does not answer"):
        destroy.main()


@pytest.mark.parametrize("role", ["service-deployer", "service-deployer-access"])
def test_a_deployer_policy_in_use_is_named_before_terraform_trips_over_it(
    aws: Emulator, environment: str, role: str
) -> None:
    iam = aws.client("iam")
    policy = iam.create_policy(
        PolicyName=f"trading-platform-{role}-useast1-{environment}",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
            }
        ),
    )["Policy"]["Arn"]
    iam.create_user(UserName="releaser")
    iam.attach_user_policy(UserName="releaser", PolicyArn=policy)
    iam.create_group(GroupName="app-team")
    iam.attach_group_policy(GroupName="app-team", PolicyArn=policy)
    with pytest.raises(UserError, match="attached to user releaser, group app-team: detach it"):
        destroy.main()
    iam.detach_user_policy(UserName="releaser", PolicyArn=policy)
    iam.detach_group_policy(GroupName="app-team", PolicyArn=policy)
    assert deployer_policy_holders(REGION, environment) == []
    iam.delete_user(UserName="releaser")
    iam.delete_group(GroupName="app-team")
    iam.delete_policy(PolicyArn=policy)
    assert deployer_policy_holders(REGION, environment) == []


GLOBAL = '[database]\nglobal_regions = ["us-east-1", "us-west-2"]'


@pytest.fixture
def shared_database(
    aws: Emulator,
    environment: str,
    settings: Callable[[str], None],
) -> Iterator[Callable[[str], None]]:
    """A global database of two regions; calling it moves the writer to another region."""
    settings(GLOBAL)
    name = global_name(environment)
    clusters = {}
    clients = {region: boto3.client("rds", region_name=region) for region in (REGION, "us-west-2")}
    clients[REGION].create_global_cluster(GlobalClusterIdentifier=name, Engine="aurora-mysql")
    for region, rds in clients.items():
        clusters[region] = rds.create_db_cluster(
            DBClusterIdentifier=f"{region}-{environment}",
            Engine="aurora-mysql",
            GlobalClusterIdentifier=name,
        )["DBCluster"]["DBClusterArn"]
    yield lambda region: clients[region].switchover_global_cluster(
        GlobalClusterIdentifier=name, TargetDbClusterIdentifier=clusters[region]
    )
    members = clients[REGION].describe_global_clusters(GlobalClusterIdentifier=name)
    ordered = sorted(
        members["GlobalClusters"][0]["GlobalClusterMembers"], key=lambda m: m["IsWriter"]
    )
    for member in ordered:
        arn = member["DBClusterArn"]
        clients[REGION].remove_from_global_cluster(
            GlobalClusterIdentifier=name, DbClusterIdentifier=arn
        )
        clients[arn.split(":")[3]].delete_db_cluster(
            DBClusterIdentifier=arn.split(":")[-1], SkipFinalSnapshot=True
        )
    clients[REGION].delete_global_cluster(GlobalClusterIdentifier=name)


def test_what_other_regions_of_a_global_database_need_is_not_destroyed(
    shared_database: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*regions: str) -> None:
        monkeypatch.setenv("REGIONS", ",".join(regions))
        check_sharing(load_environment(os.environ))

    with pytest.raises(UserError, match="us-west-2 shares the database of us-east-1: destroy that"):
        check(REGION)
    check("us-west-2")
    check(REGION, "us-west-2")
    shared_database("us-west-2")
    for regions in (("us-west-2",), (REGION, "us-west-2")):
        with pytest.raises(UserError, match="writes in us-west-2: switch it over to us-east-1"):
            check(*regions)
    shared_database(REGION)
    check("us-west-2")


def test_a_global_database_that_is_not_made_yet_stops_no_destroy(
    aws: Emulator,
    environment: str,
    settings: Callable[[str], None],
) -> None:
    settings(GLOBAL)
    check_sharing(load_environment(os.environ))
    check_sharing(load_environment({"ENVIRONMENT_SUFFIX": environment}))


def test_a_destroy_of_many_regions_ends_with_the_primary_one(
    aws: Emulator,
    environment: str,
    settings: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    settings(GLOBAL)
    monkeypatch.setenv("REGIONS", "us-east-1,us-west-2")
    destroy.main()  # of nothing: there is no state
    printed = capfd.readouterr().out
    assert printed.index("==> us-west-2: ok") < printed.index("==> us-east-1: started")
    assert printed.count("Destroy complete! Resources: 0 destroyed.") == 2
