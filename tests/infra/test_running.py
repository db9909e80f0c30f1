"""The running database counts until a change of its file takes effect."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.commands import drift, planning, review
from infra.commands.running import with_what_runs
from infra.config.environment import EnvironmentConfig, load_environment
from infra.main import synthesize
from shared.cli.errors import UserError
from tests.support.emulator import Emulator
from tests.support.synthesized import Stack, stacks_in

NAME = "trading-platform-useast1-runs"
PUBLISHED = "/trading-platform/runs/v1/database/connection-budget"
GROUP = {"DBParameterGroupName": "group"}


def environment(folder: Path, database: str) -> EnvironmentConfig:
    """An environment in one region with these database options."""
    file = folder / "runs.toml"
    file.write_text(f"[database]\n{database}\n")
    return load_environment(
        {
            "ENVIRONMENT_FILE": str(file),
            "ENVIRONMENT_SUFFIX": "runs",
            "CDKTF_OUTDIR": str(folder / "out"),
        }
    )


def stack(environment: EnvironmentConfig) -> Stack:
    """The stack, synthesized for the running database."""
    running = with_what_runs(environment)
    synthesize(running)
    return stacks_in(running.out_dir)[NAME]


def budget(stack: Stack) -> str:
    """The published connection budget."""
    (value,) = (
        parameter["value"]
        for parameter in stack.resources("aws_ssm_parameter").values()
        if parameter["name"] == PUBLISHED
    )
    return str(value)


@pytest.fixture
def cluster(aws: Emulator) -> Iterator[None]:
    """A cluster of two db.r5.large with an older version of the engine than the default."""
    rds = boto3.client("rds", region_name="us-east-1")
    rds.create_db_cluster(
        DBClusterIdentifier=NAME,
        Engine="aurora-mysql",
        EngineVersion="8.0.mysql_aurora.3.10.1",
        MasterUsername="platform_admin",
        ManageMasterUserPassword=True,
    )
    instances = [f"{NAME}-{number}" for number in (1, 2)]
    for instance in instances:
        rds.create_db_instance(
            DBInstanceIdentifier=instance,
            DBClusterIdentifier=NAME,
            DBInstanceClass="db.r5.large",
            Engine="aurora-mysql",
        )
    yield
    for instance in instances:
        rds.delete_db_instance(DBInstanceIdentifier=instance, SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=NAME, SkipFinalSnapshot=True)


def test_before_the_first_deploy_the_file_counts(
    aws: Emulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured = environment(tmp_path, "readers = 1")
    assert with_what_runs(configured) == configured
    assert capsys.readouterr().err == ""


def test_an_engine_that_aws_has_upgraded_stays_and_is_named(
    cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = environment(tmp_path, 'engine_version = "8.0.mysql_aurora.3.10.0"')
    found = stack(older)
    assert found.only("aws_rds_cluster")["engine_version"] == "8.0.mysql_aurora.3.10.1"
    assert (
        f"==> {NAME}: it runs 8.0.mysql_aurora.3.10.1 and stays there: set engine_version in "
        f"{older.file}, which has the older 8.0.mysql_aurora.3.10.0\n"
    ) in capsys.readouterr().err


def test_every_plan_is_made_for_what_runs(
    cluster: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = environment(tmp_path, 'engine_version = "8.0.mysql_aurora.3.10.0"')
    monkeypatch.setenv("ENVIRONMENT_FILE", str(older.file))
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "runs")
    found = [planning._checked(older)]

    def synthesized(environment: EnvironmentConfig) -> None:
        found.append(environment)
        raise UserError("no more is needed")

    for command in (drift, review):
        monkeypatch.setattr(command, "synthesize", synthesized)
        with pytest.raises(UserError, match="no more is needed"):
            command.main()
    versions = [each.regions[0].running.engine_version for each in found]
    assert versions == ["8.0.mysql_aurora.3.10.1"] * 3


def test_a_file_raises_the_engine(
    cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = stack(environment(tmp_path, 'engine_version = "8.0.mysql_aurora.3.10.2"'))
    assert found.only("aws_rds_cluster")["engine_version"] == "8.0.mysql_aurora.3.10.2"
    assert "it runs" not in capsys.readouterr().err


def test_a_larger_class_counts_once_it_runs(
    cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    larger = environment(tmp_path, 'instance_class = "db.r6g.xlarge"')
    found = stack(larger)
    assert budget(found) == "400"
    limits = {
        alarm["threshold"]
        for name, alarm in found.resources("aws_cloudwatch_metric_alarm").items()
        if name.endswith("connections")
    }
    assert limits == {900}
    classes = {
        instance["instance_class"]
        for instance in found.resources("aws_rds_cluster_instance").values()
    }
    assert classes == {"db.r6g.xlarge"}
    assert "the connection budget is 400 until the maintenance window" in capsys.readouterr().err
    rds = boto3.client("rds", region_name="us-east-1")
    for number in (1, 2):
        rds.modify_db_instance(
            DBInstanceIdentifier=f"{NAME}-{number}",
            DBInstanceClass="db.r6g.xlarge",
            ApplyImmediately=True,
        )
    assert budget(stack(larger)) == "800"


def test_a_smaller_class_counts_before_it_runs(cluster: None, tmp_path: Path) -> None:
    smaller = 'instance_class = "db.t4g.medium"\nreaders = 1'
    assert budget(stack(environment(tmp_path, smaller))) == "36"


@pytest.mark.parametrize(
    ("runs_up_to", "status", "published", "expected"),
    [
        # Before the deploy that raises it, the cluster has the old limit.
        (4, "in-sync", "", "54"),
        # Then it has the new one, and instances the old one until they are rebooted.
        (8, "pending-reboot", "54", "54"),
        (8, "pending-reboot", "", "400"),
        (8, "in-sync", "54", "400"),
    ],
)
def test_more_serverless_capacity_counts_after_a_reboot(
    aws: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runs_up_to: float,
    status: str,
    published: str,
    expected: str,
) -> None:
    ssm = boto3.client("ssm", region_name="us-east-1")
    if published:
        ssm.put_parameter(Name=PUBLISHED, Value=published, Type="String", Overwrite=True)
    rds = boto3.client("rds", region_name="us-east-1")
    make = boto3.client

    def client(service: str, **arguments: Any) -> Any:
        return rds if service == "rds" else make(service, **arguments)  # type: ignore[call-overload]

    monkeypatch.setattr(boto3, "client", client)
    described = {
        "DBClusterIdentifier": NAME,
        "EngineVersion": "8.0.mysql_aurora.3.10.6",
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": runs_up_to},
    }
    instance = {
        "DBInstanceIdentifier": f"{NAME}-1",
        "DBInstanceClass": "db.serverless",
        "DBParameterGroups": [{**GROUP, "ParameterApplyStatus": status}],
    }
    with Stubber(rds) as stub:
        stub.add_response("describe_db_clusters", {"DBClusters": [described]})
        stub.add_response("describe_db_instances", {"DBInstances": [instance]})
        found = stack(environment(tmp_path, "serverless = true\nmax_capacity = 8"))
    assert budget(found) == expected
    if published:
        ssm.delete_parameter(Name=PUBLISHED)
