"""What a deploy and a destroy do after the verdicts, with real Terraform on a small stack."""

import json
import os
import pty
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.commands import deploy, destroy, plan, planning, review
from infra.commands.approval import approve, check, summary
from infra.commands.elsewhere import deployed_beside, deployed_elsewhere
from infra.commands.holdings import holdings
from infra.commands.planning import PlannedStack
from infra.commands.preflight import check_unprotected
from infra.commands.snapshots import take_snapshot
from infra.commands.vaults import full_vaults, kept_vaults, recovery_points
from infra.config.environment import EnvironmentConfig, load_environment
from infra.config.naming import resource_name
from infra.gate.verdict import Finding, Verdict
from infra.terraform.backend import stack_folder
from infra.terraform.messages import explained
from shared.cli.confirm import confirm
from shared.cli.errors import UserError
from shared.contract.loader import load_contract
from tests.support.emulator import Emulator
from tests.support.small_stack import ENVIRONMENT, REGION, STACK, Document

LOSING = Verdict(losses=(Finding("aws_s3_bucket.data", "the objects in it"),))
INTERRUPTING = Verdict(interruptions=(Finding("aws_route.a", "connections end"),))
BLOCKED = Verdict(obstacles=(Finding("aws_vpc.vpc", "another cidr"),))


def planned(verdict: Verdict, name: str = "a", *, changes: bool = True) -> PlannedStack:
    return PlannedStack(REGION, Path(name), Path("plan"), changes=changes, verdict=verdict)


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Path(os.devnull).open())  # noqa: SIM115


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sit at a terminal and type a line; an empty one is the end of input."""

    def typed(text: str) -> None:
        controller, terminal = pty.openpty()
        monkeypatch.setattr(sys, "stdin", os.fdopen(terminal))
        os.write(controller, text.encode() if text else b"\x04")

    return typed


def test_the_summary_has_every_stack_and_finding() -> None:
    later = PlannedStack(REGION, Path("c"), None, changes=True)
    stacks = [planned(LOSING), planned(Verdict(), "b", changes=False), later]
    assert summary(stacks).splitlines() == [
        "a: loses",
        "  loses: aws_s3_bucket.data: the objects in it",
        "b: no changes",
        "c: new; planned when the primary region is deployed",
    ]


def test_what_cannot_work_is_refused_even_if_all_is_allowed() -> None:
    with pytest.raises(UserError, match=r"^b: this plan cannot work; nothing was applied"):
        check([planned(LOSING), planned(BLOCKED, "b")], frozenset({("a", "aws_s3_bucket.data")}))


def test_a_loss_is_allowed_by_the_stack_and_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    stacks = [planned(LOSING), planned(LOSING, "b")]
    one = frozenset({("a", "aws_s3_bucket.data")})
    with pytest.raises(UserError, match=r'ALLOW_LOSS="b: aws_s3_bucket.data"$'):
        check(stacks, one)
    with pytest.raises(UserError, match=r'ALLOW_LOSS="a: aws_s3_bucket.data, b: aws_s3_bucket.d'):
        check(stacks, frozenset())
    check(stacks, one | {("b", "aws_s3_bucket.data"), ("b", "aws_vpc.vpc")})
    assert capsys.readouterr().out == (
        "note: ALLOW_LOSS names b: aws_vpc.vpc, which this plan does not lose\n"
    )


@pytest.mark.parametrize("verdict", [LOSING, INTERRUPTING])
def test_without_a_terminal_harm_needs_a_review(no_terminal: None, verdict: Verdict) -> None:
    with pytest.raises(UserError, match=r"^a: .*`make plan OUT=folder`, review it"):
        approve([planned(verdict), planned(Verdict(), "b")], reviewed=False)
    approve([planned(verdict)], reviewed=True)
    approve([planned(Verdict())], reviewed=False)
    approve([planned(verdict, changes=False)], reviewed=False)


def test_a_terminal_is_asked_about_any_change(answer: Callable[[str], None]) -> None:
    answer("y\n")
    approve([planned(INTERRUPTING)], reviewed=False)
    for text in ("n\n", "\n", ""):
        answer(text)
        with pytest.raises(UserError, match="nothing was changed"):
            approve([planned(Verdict())], reviewed=False)
    approve([planned(Verdict(), changes=False)], reviewed=False)
    answer("yes\n")
    confirm("Destroy?")


def test_a_saved_plan_is_applied_once(
    aws: Emulator,
    stack: Document,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    plans = tmp_path / "plans"
    monkeypatch.setenv("OUT", str(plans))
    plan.main([])
    printed = capfd.readouterr().out
    assert f"{STACK}: nothing lost" in printed
    assert f"The plans are in {plans}; they hold secrets in clear text." in printed
    (file,) = plans.iterdir()
    assert (plans.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)

    monkeypatch.setenv("PLAN", str(plans))
    # The saved plan lacks edits made after the review.
    stack["resource"]["aws_sns_topic"]["more"] = {
        "name": f"trading-platform-more-useast1-{ENVIRONMENT}"
    }
    deploy.main()
    assert "5 added, 0 changed, 0 destroyed" in capfd.readouterr().out
    with pytest.raises(UserError, match=f"the saved plan of {STACK} is out of date"):
        deploy.main()
    monkeypatch.setenv("PLAN", str(tmp_path / "none"))
    with pytest.raises(UserError, match=f"there is no plan of {STACK}"):
        deploy.main()


def test_an_interruption_waits_for_a_review(
    aws: Emulator,
    stack: Document,
    no_terminal: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    deploy.main()
    stack["resource"]["aws_sns_topic"]["alarms"]["name"] = (
        f"trading-platform-others-useast1-{ENVIRONMENT}"
    )
    capfd.readouterr()
    with pytest.raises(UserError, match="only a reviewed plan may lose or interrupt"):
        deploy.main()
    assert "interrupts: aws_sns_topic.alarms: alarms reach nobody" in capfd.readouterr().out
    monkeypatch.setenv("OUT", str(tmp_path / "plans"))
    monkeypatch.setattr(review, "synthesize", lambda _environment: None)
    review.main()
    assert "- us-east-1: **interrupts**" in capfd.readouterr().out
    monkeypatch.setenv("PLAN", str(tmp_path / "plans"))
    deploy.main()
    assert "1 added, 0 changed, 1 destroyed" in capfd.readouterr().out


def test_a_lost_cluster_needs_its_name_and_leaves_a_snapshot(
    aws: Emulator,
    stack: Document,
    no_terminal: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resources = stack["resource"]
    zones = {"first": ("10.77.0.0/24", "a"), "second": ("10.77.1.0/24", "b")}
    resources["aws_subnet"] = {
        name: {
            "vpc_id": "${aws_vpc.vpc.id}",
            "cidr_block": block,
            "availability_zone": f"{REGION}{zone}",
        }
        for name, (block, zone) in zones.items()
    }
    subnets = [f"${{aws_subnet.{name}.id}}" for name in zones]
    resources["aws_db_subnet_group"] = {"database": {"name": STACK, "subnet_ids": subnets}}
    parameters = {"name": STACK, "family": "aurora-mysql8.0"}
    resources["aws_rds_cluster_parameter_group"] = {"database": parameters}
    cluster = {
        "cluster_identifier": STACK,
        "db_subnet_group_name": "${aws_db_subnet_group.database.name}",
        "db_cluster_parameter_group_name": "${aws_rds_cluster_parameter_group.database.name}",
        "engine": "aurora-mysql",
        "database_name": "trading",
        "master_username": "platform_admin",
        "manage_master_user_password": True,
        "skip_final_snapshot": True,
    }
    resources["aws_rds_cluster"] = {"database": cluster}
    deploy.main()
    rds = aws.client("rds")
    del resources["aws_rds_cluster"]
    monkeypatch.setenv("OUT", str(tmp_path / "plans"))
    plan.main([])
    # A review alone does not allow a loss.
    monkeypatch.setenv("PLAN", str(tmp_path / "plans"))
    named = f"{STACK}: aws_rds_cluster.database"
    with pytest.raises(UserError, match=f'ALLOW_LOSS="{named}"'):
        deploy.main()
    assert rds.describe_db_clusters(DBClusterIdentifier=STACK)["DBClusters"]

    monkeypatch.setenv("ALLOW_LOSS", named)
    deploy.main()
    with pytest.raises(rds.exceptions.DBClusterNotFoundFault):
        rds.describe_db_clusters(DBClusterIdentifier=STACK)
    snapshots = rds.describe_db_cluster_snapshots()["DBClusterSnapshots"]
    assert STACK in {snapshot["DBClusterIdentifier"] for snapshot in snapshots}


def test_an_empty_state_beside_a_published_contract_is_refused(
    aws: Emulator, stack: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = load_contract().version_path(ENVIRONMENT)
    ssm = aws.client("ssm")
    ssm.put_parameter(Name=path, Value="1.1.0", Type="String")
    try:
        for command in (deploy.main, lambda: plan.main([])):
            with pytest.raises(UserError) as refused:
                command()
            assert re.match(
                f"the state of {STACK} in {tmp_path}.* is empty, but {path} says that the platform "
                f"is deployed in {REGION}: is STATE wrong, or is the state lost",
                str(refused.value),
            )
    finally:
        ssm.delete_parameter(Name=path)


def test_a_region_that_is_left_out_is_mentioned(
    aws: Emulator, stack: Document, capfd: pytest.CaptureFixture[str]
) -> None:
    environment = load_environment(os.environ)
    assert deployed_elsewhere(environment) == []
    ssm = aws.client("ssm", "us-west-2")
    path = load_contract().version_path(ENVIRONMENT)
    ssm.put_parameter(Name=path, Value="1.1.0", Type="String")
    try:
        assert deployed_elsewhere(environment) == ["us-west-2"]
        deploy.main()
    finally:
        ssm.delete_parameter(Name=path)
    printed = capfd.readouterr().out
    assert f"note: {ENVIRONMENT} is deployed in us-west-2 as well" in printed
    assert f"==> environment {ENVIRONMENT}: profile standard, without a file" in printed


def test_a_protected_cluster_is_not_destroyed_whatever_the_file_says(
    aws: Emulator, stack: Document
) -> None:
    rds = aws.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier=STACK,
        Engine="aurora-mysql",
        DatabaseName="trading",
        MasterUsername="tradingadmin",
        ManageMasterUserPassword=True,
        DeletionProtection=True,
    )
    try:
        with pytest.raises(UserError, match="deletion protection; nothing was destroyed"):
            destroy.main()
        name = take_snapshot(STACK, REGION)
        (snapshot,) = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)[
            "DBClusterSnapshots"
        ]
        assert snapshot["DBClusterIdentifier"] == STACK
    finally:
        rds.modify_db_cluster(
            DBClusterIdentifier=STACK, DeletionProtection=False, ApplyImmediately=True
        )
        check_unprotected(REGION, ENVIRONMENT)
        rds.delete_db_cluster(DBClusterIdentifier=STACK, SkipFinalSnapshot=True)


def test_a_destroy_at_a_terminal_asks(
    aws: Emulator,
    stack: Document,
    answer: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer("n\n")
    with pytest.raises(UserError, match="nothing was changed"):
        destroy.main()
    answer("y\n")
    destroy.main()
    # The clean-up is not asked.
    monkeypatch.setattr(sys, "stdin", Path(os.devnull).open())  # noqa: SIM115


def test_a_new_environment_beside_others_is_mentioned(
    aws: Emulator,
    stack: Document,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """As when somebody has renamed one."""
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.78.0.0/16")["Vpc"]["VpcId"]
    name = {"Key": "Stack", "Value": "trading-platform-useast1-smal"}
    ec2.create_tags(Resources=[vpc], Tags=[name])
    try:
        plan.main([])
        printed = capfd.readouterr().out
        assert f"note: {ENVIRONMENT} is new in {REGION}; deployed there are smal" in printed
        deploy.main()
        plan.main([])
        assert "is new in" not in capfd.readouterr().out.rpartition("Apply complete!")[2]
    finally:
        ec2.delete_vpc(VpcId=vpc)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        assert deployed_beside(load_environment(os.environ), REGION) == []


def test_a_state_of_another_account_is_refused(aws: Emulator, stack: Document) -> None:
    def plan_that_misses(account: str) -> dict[str, Any]:
        """As of an account in which Terraform does not find what the state has."""
        topic = {"arn": f"arn:aws:sns:{REGION}:{account}:small-alarms"}
        change = {"actions": ["delete"], "before": topic}
        return {"resource_drift": [{"type": "aws_sns_topic", "address": "a.b", "change": change}]}

    environment = load_environment(os.environ)
    planning.check_state(environment, REGION, STACK, plan_that_misses("0" * 12))
    with pytest.raises(
        UserError,
        match=f"^the state of {STACK} is of the account 1{{12}}, and the credentials are of 0",
    ):
        planning.check_state(environment, REGION, STACK, plan_that_misses("1" * 12))


def test_a_loss_is_named_with_what_is_lost(
    aws: Emulator,
    stack: Document,
    no_terminal: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """CloudWatch has what the service and RDS tell it."""
    stack["resource"]["aws_rds_cluster"] = {
        "database": {
            "cluster_identifier": STACK,
            "engine": "aurora-mysql",
            "master_username": "platform_admin",
            "manage_master_user_password": True,
            "skip_final_snapshot": True,
        }
    }
    deploy.main()
    assert holdings(STACK, REGION, ENVIRONMENT) == ""
    cloudwatch = aws.client("cloudwatch")
    service = {"environment": ENVIRONMENT, "service": "trade"}
    for namespace, name, value, dimensions in (
        ("TradingPlatform", "TradesAccepted", 1200, service),
        ("TradingPlatform", "TradesAccepted", 34, service),
        ("AWS/RDS", "VolumeBytesUsed", 1.5 * 1024**3, {"DBClusterIdentifier": STACK}),
    ):
        data = {
            "MetricName": name,
            "Value": value,
            "Dimensions": [{"Name": key, "Value": each} for key, each in dimensions.items()],
        }
        cloudwatch.put_metric_data(Namespace=namespace, MetricData=[data])
    held = f"{STACK} holds 1,234 trades that were booked in the last 455 days, 1.5 GiB"
    del stack["resource"]["aws_rds_cluster"]
    capfd.readouterr()
    with pytest.raises(UserError, match="this plan loses data"):
        deploy.main()
    assert f"  {held}" in capfd.readouterr().out
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        assert holdings(STACK, REGION, ENVIRONMENT) == ""
    destroy.main()
    assert f"==> {STACK}: {held}" in capfd.readouterr().out


def test_a_vault_with_recovery_points_stays_and_a_destroy_says_so_first(
    aws: Emulator,
    stack: Document,
    no_terminal: None,
    settings: Callable[[str], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    vault = resource_name("vault", REGION, ENVIRONMENT)
    stack["resource"]["aws_backup_vault"] = {"vault": {"name": vault, "force_destroy": False}}
    deploy.main()
    aws.client("backup").start_backup_job(
        BackupVaultName=vault,
        ResourceArn=f"arn:aws:rds:{REGION}:000000000000:cluster:{STACK}",
        IamRoleArn="arn:aws:iam::000000000000:role/backup",
    )
    del stack["resource"]["aws_backup_vault"]
    capfd.readouterr()
    with pytest.raises(UserError, match="this plan cannot work"):
        deploy.main()
    held = "cannot work: aws_backup_vault.vault: it holds recovery points (1), and AWS deletes no"
    assert held in capfd.readouterr().out
    environment = load_environment(os.environ)
    assert [line.partition(" and stays")[0] for line in kept_vaults(environment)] == [
        f"the vault {vault} in {REGION} holds recovery points (1)"
    ]
    settings("[protection]\nfinal_snapshot = false\n")
    assert list(kept_vaults(load_environment(os.environ))) == []
    settings("")
    destroy.main()
    assert f"warning: the vault {vault} in {REGION} holds" in capfd.readouterr().out
    assert recovery_points(vault, REGION) == 0
    empty = {"name": vault, "arn": f"arn:aws:backup:{REGION}:000000000000:backup-vault:{vault}"}
    change = {"actions": ["delete"], "before": empty}
    assert not [
        *full_vaults({"resource_changes": [{"address": "aws_backup_vault.v", "change": change}]})
    ]


FRAMED = "\x1b[31m╷\x1b[0m\n\x1b[31m│\x1b[0m \x1b[1mError: {}\x1b[0m\n\x1b[31m│\x1b[0m\n"


@pytest.mark.parametrize(
    ("error", "way"),
    [
        ("Error acquiring the state lock", "docs/runbooks/stuck-lock.md, and do not use -lock"),
        ("state data in S3 does not have\n│ the expected content.", "docs/runbooks/stuck-lock.md"),
        ("Saved plan is stale", "make a new one"),
        (
            "Error acquiring the state lock\n│ Error message: Unsupported state file format",
            "cannot be read: it is damaged",
        ),
        (
            "Instance cannot be destroyed\n│ Resource aws_kms_key.key has\n│ "
            "lifecycle.prevent_destroy set",
            "a-stack: cannot work: aws_kms_key.key: the plan would destroy it",
        ),
        (
            "reading S3 Bucket Ownership Controls (a-bucket): operation error S3: GetBucket, "
            "https response error StatusCode: 403, api error AccessDenied: Access Denied",
            "if the state is of another account",
        ),
        ("Provider configuration not present", "put back what was taken"),
        (
            "reading Secrets Manager Secret Version: operation error Secrets Manager: "
            "GetSecretValue, AccessDeniedException: User: planner\n│ is not authorized to perform",
            "use `make plan-comment`, or the infra deployer",
        ),
    ],
)
def test_terraforms_errors_get_a_line_that_helps(error: str, way: str) -> None:
    found = explained(FRAMED.format(error), "a-stack")
    assert found is not None
    assert way in found
    assert "a-stack" in found


def test_other_errors_speak_for_themselves() -> None:
    assert explained(FRAMED.format("no such bucket"), "a-stack") is None


def test_several_regions_are_judged_before_the_first_one_is_applied(
    aws: Emulator,
    no_terminal: None,
    tmp_path: Path,
    settings: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """With stacks that need no provider, and one region that joins the database of another."""

    content = {"us-east-1": "one", "us-west-2": "one"}

    def synthesize(environment: EnvironmentConfig) -> None:
        for region in environment.regions:
            folder = stack_folder(environment, region.region)
            folder.mkdir(parents=True, exist_ok=True)
            state = str(environment.state_dir / f"{region.region}.tfstate")
            document: dict[str, Any] = {
                "terraform": {"backend": {"local": {"path": state}}},
                "resource": {"terraform_data": {"one": {"input": content[region.region]}}},
            }
            (folder / "cdk.tf.json").write_text(json.dumps(document))

    monkeypatch.setattr(planning, "synthesize", synthesize)
    settings('[database]\nglobal_regions = ["us-west-2", "us-east-1"]')
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "several")
    monkeypatch.setenv("REGIONS", "us-east-1,us-west-2")
    monkeypatch.setenv("OUT", str(tmp_path / "plans"))
    first, second = "trading-platform-uswest2-several", "trading-platform-useast1-several"
    plan.main([])
    printed = capfd.readouterr().out
    assert "terraform_data.one will be created" in printed
    assert f"{second}: new; planned when the primary region is deployed" in printed
    assert f"{first}: nothing lost" in printed
    monkeypatch.setenv("PLAN", str(tmp_path / "plans"))
    deploy.main()
    printed = capfd.readouterr().out
    assert printed.count("Apply complete! Resources: 1 added") == 2

    monkeypatch.delenv("PLAN")
    deploy.main()
    printed = capfd.readouterr().out
    assert f"{first}: no changes" in printed
    assert "Apply complete" not in printed
    content["us-east-1"] = "two"
    deploy.main()
    printed = capfd.readouterr().out
    assert "us-east-1   ok" in printed
    assert printed.count("Apply complete! Resources: 0 added, 1 changed") == 1

    # The saved plans are outdated.
    content["us-west-2"] = "three"
    monkeypatch.setenv("PLAN", str(tmp_path / "plans"))
    with pytest.raises(UserError, match=f"there is no plan of {second}"):
        deploy.main()
    monkeypatch.setenv("REGIONS", "us-west-2")
    with pytest.raises(UserError, match=f"the saved plan of {first} is out of date"):
        deploy.main()
    monkeypatch.setenv("REGIONS", "us-east-1,us-west-2")
    monkeypatch.delenv("PLAN")
    monkeypatch.setenv("TF_CLI_ARGS_apply", "-no-such-option")
    with pytest.raises(UserError, match="terraform apply failed in us-west-2"):
        deploy.main()
    destroy.main()
    assert capfd.readouterr().out.count("Destroy complete!") == 2
