"""The emulator from outside: its own process, real databases, real Terraform."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pymysql
import pytest
from botocore.exceptions import ClientError

from infra.config.aurora import ENGINE_VERSIONS, version_number
from infra.terraform.program import cli_config
from local.processes import command_line
from tests.support.emulator import (
    REGION,
    Emulator,
    connect,
    create_cluster,
    query,
    reachable,
    until,
)
from tests.support.ports import free_port_base


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    running = Emulator(tmp_path / "local", free_port_base())
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()
    for pid in running.database_pids():
        os.kill(pid, signal.SIGKILL)


def packed(code: str) -> bytes:
    """The package of a function with the module `index`."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("index.py", code)
    return package.getvalue()


def test_cluster_has_a_database_from_creation_to_deletion(emulator: Emulator) -> None:
    rds = emulator.client("rds")
    rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="tls",
        DBParameterGroupFamily="aurora-mysql8.0",
        Description="requires TLS",
    )
    rds.modify_db_cluster_parameter_group(
        DBClusterParameterGroupName="tls",
        Parameters=[
            {
                "ParameterName": "require_secure_transport",
                "ParameterValue": "ON",
                "ApplyMethod": "immediate",
            }
        ],
    )
    cluster = create_cluster(emulator, DBClusterParameterGroupName="tls")
    endpoint = (cluster["Endpoint"], cluster["ReaderEndpoint"], cluster["Port"])
    assert endpoint == ("127.0.0.1", "127.0.0.1", emulator.port + 10)
    assert query(emulator, cluster, "SELECT @@time_zone, @@character_set_server") == (
        ("+00:00", "utf8mb4"),
    )
    assert query(emulator, cluster, "SHOW GRANTS")[0][0].endswith("WITH GRANT OPTION")
    with pytest.raises(pymysql.Error):
        connect(emulator, cluster, tls=False)

    instance = rds.create_db_instance(
        DBInstanceIdentifier="writer",
        DBClusterIdentifier="trades",
        DBInstanceClass="db.r5.large",
        Engine="aurora-mysql",
    )["DBInstance"]
    assert instance["Endpoint"]["Port"] == cluster["Port"]
    described = rds.describe_db_clusters(DBClusterIdentifier="trades")["DBClusters"][0]
    assert (described["Endpoint"], described["ReaderEndpoint"], described["Port"]) == endpoint

    rds.create_db_instance(
        DBInstanceIdentifier="reader",
        DBClusterIdentifier="trades",
        DBInstanceClass="db.r5.large",
        Engine="aurora-mysql",
    )
    before = connect(emulator, cluster)
    rds.failover_db_cluster(DBClusterIdentifier="trades")
    with pytest.raises(pymysql.Error):
        before.ping(reconnect=False)

    rds.modify_db_cluster(
        DBClusterIdentifier="trades", RotateMasterUserPassword=True, ApplyImmediately=True
    )
    assert reachable(emulator, cluster)

    second = create_cluster(emulator, "orders")
    assert second["Port"] == emulator.port + 11
    for name in ("writer", "reader"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    for name in ("trades", "orders"):
        rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)
    assert emulator.database_pids() == []
    assert list((emulator.folder / "databases").glob("*/*")) == []


def test_a_database_that_cannot_start_makes_no_cluster(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.stop()
    monkeypatch.setenv("PATH", "/nonexistent")
    emulator.start()
    with pytest.raises(ClientError, match="is not installed"):
        create_cluster(emulator, DeletionProtection=True)
    assert emulator.client("rds").describe_db_clusters()["DBClusters"] == []
    assert emulator.client("secretsmanager").list_secrets()["SecretList"] == []
    assert list((emulator.folder / "databases").glob("*/*")) == []


def test_a_killed_emulator_and_a_killed_database_heal(emulator: Emulator) -> None:
    cluster = create_cluster(emulator)
    query(emulator, cluster, "CREATE TABLE trade (id INT PRIMARY KEY)")
    query(emulator, cluster, "INSERT INTO trade VALUES (7)")
    emulator.client("s3").create_bucket(Bucket="trading-data")
    emulator.client("s3").put_object(Bucket="trading-data", Key="a", Body=b"content")
    (database,) = emulator.database_pids()
    emulator.client("ssm").put_parameter(Name="/a", Value="b", Type="String")
    emulator.kill()
    assert emulator.database_pids() == [database]
    emulator.start()
    assert emulator.database_pids() == [database]
    described = emulator.client("rds").describe_db_clusters()["DBClusters"][0]
    assert (described["Endpoint"], described["Port"]) == (cluster["Endpoint"], cluster["Port"])
    assert emulator.client("ssm").get_parameter(Name="/a")["Parameter"]["Value"] == "b"
    kept = emulator.client("s3").get_object(Bucket="trading-data", Key="a")["Body"].read()
    assert kept == b"content"

    os.kill(database, signal.SIGKILL)
    until(lambda: reachable(emulator, cluster), "the database to come back")
    assert query(emulator, cluster, "SELECT id FROM trade") == ((7,),)

    assert emulator.stop() == 0
    assert emulator.database_pids() == []
    emulator.start()
    assert query(emulator, cluster, "SELECT id FROM trade") == ((7,),)


@pytest.mark.parametrize(("folder", "reason"), [("local", "already runs"), ("other", "in use")])
def test_a_second_start_is_refused_in_one_line(
    emulator: Emulator, folder: str, reason: str
) -> None:
    second = Emulator(emulator.folder.parent / folder, emulator.port)
    second.log = emulator.folder.parent / "second.log"
    assert second.launch().wait(timeout=20) == 1
    (line,) = second.log.read_text().splitlines()
    assert reason in line


def test_changed_parameter_values_make_change_sets(emulator: Emulator) -> None:
    formation, ssm = emulator.client("cloudformation"), emulator.client("ssm")
    ssm.put_parameter(Name="/port", Value="3306", Type="String")
    template: dict[str, Any] = {
        "Parameters": {
            "Port": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/port"},
            "Extra": {"Type": "String", "Default": "no"},
        },
        "Conditions": {"HasExtra": {"Fn::Equals": [{"Ref": "Extra"}, "yes"]}},
        "Resources": {
            "Copy": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {"Type": "String", "Name": "/copy", "Value": {"Ref": "Port"}},
            },
            "More": {"Type": "AWS::SQS::Queue", "Condition": "HasExtra"},
        },
        "Outputs": {"Port": {"Value": {"Ref": "Port"}}},
    }

    def deploy(kind: str, extra: str = "no") -> set[tuple[str, str]] | None:
        name = f"set-{time.monotonic_ns()}"
        formation.create_change_set(
            StackName="service",
            ChangeSetName=name,
            ChangeSetType=kind,
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": "Extra", "ParameterValue": extra}],
        )
        change_set = formation.describe_change_set(StackName="service", ChangeSetName=name)
        if change_set["Status"] == "FAILED":
            return None
        formation.execute_change_set(StackName="service", ChangeSetName=name)
        until(lambda: status().endswith("_COMPLETE"), "the stack")
        changes = [change["ResourceChange"] for change in change_set["Changes"]]
        return {(change["Action"], change["LogicalResourceId"]) for change in changes}

    def status() -> str:
        return str(formation.describe_stacks(StackName="service")["Stacks"][0]["StackStatus"])

    assert deploy("CREATE") == {("Add", "Copy")}
    assert deploy("UPDATE") is None
    ssm.put_parameter(Name="/port", Value="3307", Type="String", Overwrite=True)
    assert deploy("UPDATE") == {("Modify", "Copy")}
    assert ssm.get_parameter(Name="/copy")["Parameter"]["Value"] == "3307"
    assert deploy("UPDATE", extra="yes") == {("Add", "More")}
    assert deploy("UPDATE") == {("Remove", "More")}
    template["Outputs"]["Extra"] = {"Value": {"Ref": "Extra"}}
    assert deploy("UPDATE") == set()
    assert deploy("UPDATE") is None


def test_an_interrupted_deployment_can_be_repeated(emulator: Emulator) -> None:
    parameter: dict[str, Any] = {
        "Type": "AWS::SSM::Parameter",
        "Properties": {"Type": "String", "Name": "/a", "Value": "1"},
    }
    waiting = {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Wait": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "DependsOn": "A",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "600"},
        },
    }
    formation = emulator.client("cloudformation")

    def status() -> str:
        return str(formation.describe_stacks(StackName="service")["Stacks"][0]["StackStatus"])

    formation.create_stack(
        StackName="service", TemplateBody=json.dumps({"Resources": {"A": parameter} | waiting})
    )
    until(lambda: status() == "CREATE_IN_PROGRESS", "the deployment")
    time.sleep(1)  # it waits, and the state has been written
    emulator.kill()
    emulator.start()
    parameter["Properties"] = {"Type": "String", "Name": "/a", "Value": "2"}
    formation.update_stack(
        StackName="service", TemplateBody=json.dumps({"Resources": {"A": parameter}})
    )
    until(lambda: status() == "UPDATE_COMPLETE", "the deployment")
    assert emulator.client("ssm").get_parameter(Name="/a")["Parameter"]["Value"] == "2"
    formation.delete_stack(StackName="service")


def test_a_function_goes_on_while_its_namesake_in_another_region_is_updated(
    emulator: Emulator, tmp_path: Path
) -> None:
    code = packed(
        "import os, pathlib, time\n"
        "def handler(event, context):\n"
        "    pathlib.Path(event['started']).touch()\n"
        "    time.sleep(2)\n"
        "    return os.environ['AWS_REGION']\n"
    )
    updated, busy = (emulator.client("lambda", region) for region in (REGION, "us-west-2"))
    for client in (updated, busy):
        client.create_function(
            FunctionName="check",
            Runtime="python3.13",
            Handler="index.handler",
            Role="arn:aws:iam::000000000000:role/any",
            Timeout=10,
            Code={"ZipFile": code},
        )
        client.get_waiter("function_active_v2").wait(FunctionName="check")
    started = tmp_path / "started"
    event = json.dumps({"started": str(started)})
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(busy.invoke, FunctionName="check", Payload=event)
        until(started.exists, "the function to start")
        updated.update_function_configuration(FunctionName="check", Timeout=20)
        assert json.loads(answer.result()["Payload"].read()) == "us-west-2"


def test_the_users_own_profile_does_not_reach_the_commands_own_requests(
    emulator: Emulator,
) -> None:
    status = subprocess.run(
        [sys.executable, "-m", "local.platform", "status"],
        cwd=Path(__file__).resolve().parents[2],
        env={
            **os.environ,
            "AWS_PROFILE": "production",
            "AWS_ENDPOINT_URL_CLOUDFORMATION": "https://cloudformation.us-east-1.amazonaws.com",
            "LOCAL_DIR": str(emulator.folder),
            "LOCAL_PORT_BASE": str(emulator.port),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in status.stderr
    assert "trading-platform-service-useast1-dev is not deployed: run `make up`" in status.stderr


def test_old_versions_of_a_function_keep_no_processes(emulator: Emulator) -> None:
    client = emulator.client("lambda")
    client.create_function(
        FunctionName="trade",
        Runtime="python3.13",
        Handler="index.handler",
        Role="arn:aws:iam::000000000000:role/any",
        Code={"ZipFile": packed("import os\ndef handler(event, context): return os.getpid()")},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="trade")
    pids = {}
    for number in ("1", "2", "3", "4"):
        client.update_function_configuration(FunctionName="trade", Timeout=int(number))
        client.get_waiter("function_updated_v2").wait(FunctionName="trade")
        version = client.publish_version(FunctionName="trade")["Version"]
        answer = client.invoke(FunctionName="trade", Qualifier=version)
        pids[version] = int(answer["Payload"].read())
    running = {version for version, pid in pids.items() if (command_line(pid) or "").strip()}
    # Traffic can still move back to the previous version.
    assert running == {"3", "4"}
    assert client.invoke(FunctionName="trade", Qualifier="1")["StatusCode"] == 200


def test_every_version_that_the_platform_accepts_is_offered(emulator: Emulator) -> None:
    pages = emulator.client("rds").get_paginator("describe_db_engine_versions")
    offered = {
        version["EngineVersion"]
        for page in pages.paginate(Engine="aurora-mysql")
        for version in page["DBEngineVersions"]
    }
    assert set(ENGINE_VERSIONS) <= offered


def test_cluster_attributes_are_described_as_requested(emulator: Emulator) -> None:
    rds = emulator.client("rds")
    create_cluster(
        emulator,
        ServerlessV2ScalingConfiguration={
            "MinCapacity": 0,
            "MaxCapacity": 2,
            "SecondsUntilAutoPause": 300,
        },
        EnableCloudwatchLogsExports=["error", "audit"],
        StorageType="aurora-iopt1",
    )
    rds.modify_db_cluster(
        DBClusterIdentifier="trades",
        CloudwatchLogsExportConfiguration={
            "EnableLogTypes": ["slowquery"],
            "DisableLogTypes": ["audit"],
        },
    )
    rds.create_db_instance(
        DBInstanceIdentifier="writer",
        DBClusterIdentifier="trades",
        DBInstanceClass="db.serverless",
        Engine="aurora-mysql",
        EnablePerformanceInsights=True,
        PerformanceInsightsKMSKeyId="arn:aws:kms:us-east-1:000000000000:key/k",
    )
    cluster = rds.describe_db_clusters()["DBClusters"][0]
    assert cluster["EnabledCloudwatchLogsExports"] == ["error", "slowquery"]
    assert cluster["ServerlessV2ScalingConfiguration"]["SecondsUntilAutoPause"] == 300
    assert cluster["StorageType"] == "aurora-iopt1"
    instance = rds.describe_db_instances()["DBInstances"][0]
    assert instance["PerformanceInsightsKMSKeyId"].endswith("key/k")


TERRAFORM = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100.0, < 7.0.0"
    }
  }
}
provider "aws" {
  default_tags {
    tags = { Project = "test" }
  }
}
resource "aws_vpc" "v" {
  cidr_block = "10.0.0.0/16"
}
resource "aws_subnet" "s" {
  vpc_id     = aws_vpc.v.id
  cidr_block = "10.0.0.0/24"
}
resource "aws_security_group" "g" {
  name   = "g"
  vpc_id = aws_vpc.v.id
}
resource "aws_vpc_endpoint" "kms" {
  vpc_id              = aws_vpc.v.id
  service_name        = "com.amazonaws.us-east-1.kms"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = [aws_subnet.s.id]
  security_group_ids  = [aws_security_group.g.id]
}
resource "aws_vpc_endpoint" "s3" {
  vpc_id       = aws_vpc.v.id
  service_name = "com.amazonaws.us-east-1.s3"
}
resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.g.id
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  description       = "to S3"
}
resource "aws_flow_log" "f" {
  vpc_id                   = aws_vpc.v.id
  traffic_type             = "ALL"
  iam_role_arn             = "arn:aws:iam::000000000000:role/flow"
  log_destination          = "arn:aws:logs:us-east-1:000000000000:log-group:flow"
  max_aggregation_interval = 60
}
resource "aws_cloudwatch_metric_alarm" "a" {
  alarm_name          = "cpu"
  alarm_description   = "busy & <hot>"
  namespace           = "AWS/RDS"
  metric_name         = "CPUUtilization"
  extended_statistic  = "p99"
  period              = 300
  evaluation_periods  = 3
  threshold           = 80.5
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  dimensions          = { DBClusterIdentifier = "c", Role = "WRITER" }
  alarm_actions       = ["arn:aws:sns:us-east-1:000000000000:t"]
}
"""


def test_terraform_sees_no_difference_after_an_apply(emulator: Emulator, tmp_path: Path) -> None:
    folder = tmp_path / "terraform"
    folder.mkdir()
    (folder / "main.tf").write_text(TERRAFORM)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_")
    } | {
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "3",
    }
    terraform = shutil.which("terraform")
    assert terraform is not None

    with cli_config(environment) as variables:

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [terraform, *arguments],
                cwd=folder,
                env=dict(variables),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )

        for arguments, expected in (
            (("init", "-input=false"), 0),
            (("apply", "-auto-approve", "-input=false"), 0),
            (("plan", "-detailed-exitcode", "-input=false", "-no-color"), 0),
            (("destroy", "-auto-approve", "-input=false"), 0),
        ):
            done = run(*arguments)
            assert done.returncode == expected, done.stdout + done.stderr
    vpcs = emulator.client("ec2").describe_vpcs()["Vpcs"]
    assert [vpc for vpc in vpcs if not vpc["IsDefault"]] == []


def test_what_a_database_uses_stays_and_its_engine_goes_forward_only(emulator: Emulator) -> None:
    ec2, rds = emulator.client("ec2"), emulator.client("rds")
    vpc = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.5.{number}.0/24", AvailabilityZone=f"{REGION}{zone}"
        )["Subnet"]["SubnetId"]
        for number, zone in enumerate("ab")
    ]
    group = {"DBSubnetGroupName": "both", "DBSubnetGroupDescription": "both zones"}
    rds.create_db_subnet_group(**group, SubnetIds=subnets)
    with pytest.raises(rds.exceptions.DBSubnetGroupAlreadyExistsFault):
        rds.create_db_subnet_group(**group, SubnetIds=subnets)
    newest, older = sorted(ENGINE_VERSIONS, key=version_number)[-1:-3:-1]
    create_cluster(emulator, DBSubnetGroupName="both", EngineVersion=older)
    rds.create_db_instance(
        DBInstanceIdentifier="writer",
        DBClusterIdentifier="trades",
        DBInstanceClass="db.r5.large",
        Engine="aurora-mysql",
        AvailabilityZone=f"{REGION}a",
    )
    change = {"DBClusterIdentifier": "trades", "ApplyImmediately": True}
    rds.modify_db_cluster(**change, EngineVersion=newest, AllowMajorVersionUpgrade=False)
    with pytest.raises(ClientError, match=f"Cannot upgrade aurora-mysql from {newest} to {older}"):
        rds.modify_db_cluster(**change, EngineVersion=older)
    with pytest.raises(ClientError, match="has dependencies and cannot be deleted"):
        ec2.delete_subnet(SubnetId=subnets[0])
    ec2.delete_subnet(SubnetId=subnets[1])
    with pytest.raises(rds.exceptions.InvalidDBSubnetGroupStateFault):
        rds.delete_db_subnet_group(DBSubnetGroupName="both")
    rds.delete_db_instance(DBInstanceIdentifier="writer", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="trades", SkipFinalSnapshot=True)
    ec2.delete_subnet(SubnetId=subnets[0])
    rds.delete_db_subnet_group(DBSubnetGroupName="both")
