"""Terraform's states: the backend in the synthesized JSON, and real Terraform on an emulated S3."""

import hashlib
import json
import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.commands import deploy, plan, remote_state
from infra.config.environment import EnvironmentConfig, load_environment
from infra.main import synthesize
from infra.provider.bindings import App, TerraformStack
from infra.stacks.state import keep_state
from infra.terraform.backend import account_id, backend_arguments
from infra.terraform.program import Terraform, installed_terraform
from shared.cli.errors import UserError
from tests.infra.conftest import ACCOUNT
from tests.support.emulator import Emulator, until
from tests.support.runbooks import commands, run
from tests.support.synthesized import Stack, statements, synthesized

BUCKET = f"trading-platform-state-{ACCOUNT}-useast1"
API_LOGS = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
STATE_STACK = "trading-platform-state-useast1"


@pytest.fixture(scope="module")
def state_stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("state-stack")
    synthesize(load_environment({"CDKTF_OUTDIR": str(folder)}))
    return Stack(json.loads((folder / "stacks" / STATE_STACK / "cdk.tf.json").read_text()))


def test_every_stack_keeps_its_state_encrypted_in_its_region_under_both_locks(
    tmp_path: Path,
) -> None:
    stacks = synthesized(tmp_path, ENVIRONMENT_SUFFIX="qa", REGIONS="us-east-1,us-west-2")
    assert {name: stack.document["terraform"]["backend"] for name, stack in stacks.items()} == {
        f"trading-platform-{code}-qa": {
            "s3": {
                "key": f"trading-platform-{code}-qa/terraform.tfstate",
                "region": region,
                "encrypt": True,
                "dynamodb_table": f"trading-platform-state-locks-{code}",
                "use_lockfile": True,
            }
        }
        for region, code in (("us-east-1", "useast1"), ("us-west-2", "uswest2"))
    }


def test_no_other_user_of_the_machine_reads_a_state_in_files(tmp_path: Path) -> None:
    synthesized(tmp_path, STATE="local", STATE_DIR=str(tmp_path / "own" / "state"))
    assert stat.S_IMODE((tmp_path / "own" / "state").stat().st_mode) == 0o700


def test_the_state_bucket_is_versioned_encrypted_private_and_takes_tls_alone(
    state_stack: Stack,
) -> None:
    versioning = state_stack.only("aws_s3_bucket_versioning")["versioning_configuration"]
    assert versioning == {"status": "Enabled"}
    (rule,) = state_stack.only("aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule["apply_server_side_encryption_by_default"]["sse_algorithm"] == "aws:kms"
    block = state_stack.only("aws_s3_bucket_public_access_block")
    switches = {"block_public_acls", "block_public_policy"} | {
        "ignore_public_acls",
        "restrict_public_buckets",
    }
    assert {name for name, value in block.items() if value is True} == switches
    denied = statements(state_stack.only("aws_s3_bucket_policy")["policy"])["DenyPlainHttp"]
    assert (denied["Effect"], denied["Principal"], denied["Action"]) == ("Deny", "*", "s3:*")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_lock_table_can_be_restored_and_is_what_terraform_expects(state_stack: Stack) -> None:
    table = state_stack.only("aws_dynamodb_table")
    assert table["hash_key"] == "LockID"
    assert table["attribute"] == [{"name": "LockID", "type": "S"}]
    assert table["point_in_time_recovery"] == {"enabled": True}
    assert table["server_side_encryption"]["enabled"] is True
    assert table["deletion_protection_enabled"] is True


@pytest.mark.parametrize("type_", ["aws_s3_bucket", "aws_dynamodb_table", "aws_kms_key"])
def test_nothing_that_keeps_states_can_be_destroyed_by_terraform(
    state_stack: Stack, type_: str
) -> None:
    assert state_stack.only(type_)["lifecycle"] == {"prevent_destroy": True}


def test_api_gateway_can_write_logs_after_an_environment_is_destroyed(
    state_stack: Stack,
) -> None:
    role = state_stack.only("aws_iam_role")
    assert role["name"] == "trading-platform-api-logs-useast1"
    (trusted,) = statements(role["assume_role_policy"]).values()
    assert trusted["Principal"] == {"Service": "apigateway.amazonaws.com"}
    assert state_stack.only("aws_iam_role_policy_attachment")["policy_arn"] == API_LOGS
    account = state_stack.only("aws_api_gateway_account")
    assert account["cloudwatch_role_arn"] == state_stack.reference(
        "aws_iam_role", "api-logs/role", "arn"
    )
    # API Gateway tries the role.
    rights = state_stack.reference("aws_iam_role_policy_attachment", "api-logs/rights", "")
    assert account["depends_on"] == [rights[2:-2]]


def test_a_role_of_another_team_stays_what_api_gateway_has(aws: Emulator, tmp_path: Path) -> None:
    api_gateway = aws.client("apigateway", "us-east-2")

    def set_role(arn: str) -> None:
        patch = {"op": "replace", "path": "/cloudwatchRoleArn", "value": arn}
        api_gateway.update_account(patchOperations=[patch])

    assert remote_state.sets_api_logs_role("us-east-2")
    set_role(f"arn:aws:iam::{ACCOUNT}:role/trading-platform-service-useast2-dev-ApiGatewayRole")
    assert remote_state.sets_api_logs_role("us-east-2")
    set_role(f"arn:aws:iam::{ACCOUNT}:role/payroll")
    assert not remote_state.sets_api_logs_role("us-east-2")
    environment = load_environment({"CDKTF_OUTDIR": str(tmp_path)})
    synthesize(replace(environment, sets_api_logs_role=False))
    document = json.loads((tmp_path / "stacks" / STATE_STACK / "cdk.tf.json").read_text())
    assert "aws_api_gateway_account" not in document["resource"]


def test_credentials_that_may_not_ask_api_gateway_are_one_clear_line(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = aws.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    with pytest.raises(UserError, match="cannot see whether API Gateway may write logs: "):
        remote_state.api_logs_role("us-east-1")


def test_an_account_without_a_state_bucket_is_one_clear_line(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE", "s3")
    monkeypatch.setenv("REGIONS", "us-west-2")
    with pytest.raises(UserError) as refused:
        plan.main([])
    assert str(refused.value) == (
        f"there is no state bucket in us-west-2 for the account {ACCOUNT}: run `make "
        "bootstrap-state` first, or keep the state on this machine with STATE=local"
    )


def test_missing_credentials_are_one_clear_line(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE", "s3")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    for command in (lambda: plan.main([]), lambda: account_id("us-east-1")):
        with pytest.raises(UserError, match="credentials for AWS are needed: Unable to locate"):
            command()


def test_a_bucket_of_that_name_in_another_account_is_not_used(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = f"trading-platform-state-{ACCOUNT}-useast2"
    # An access key of twelve digits is an account of its own to the emulator.
    boto3.client(
        "s3", region_name="us-east-2", aws_access_key_id="1" * 12, aws_secret_access_key="test"
    ).create_bucket(Bucket=taken, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    monkeypatch.setenv("STATE", "s3")
    monkeypatch.setenv("REGIONS", "us-east-2")
    with pytest.raises(UserError, match=f"the state bucket {taken} cannot be used"):
        plan.main([])


def test_a_state_bucket_without_its_key_is_one_clear_line(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = BUCKET.replace("useast1", "uswest2")
    s3 = boto3.client("s3", region_name="us-west-2")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    monkeypatch.setenv("STATE", "s3")
    monkeypatch.setenv("REGIONS", "us-west-2")
    with pytest.raises(UserError, match="the key of the state bucket cannot be used"):
        plan.main([])
    s3.delete_bucket(Bucket=bucket)


@pytest.fixture
def remote(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> EnvironmentConfig:
    """An environment whose states go to the state bucket, which is there."""
    monkeypatch.setenv("STATE", "s3")
    environment = load_environment(os.environ)
    if BUCKET not in {bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]}:
        with installed_terraform(os.environ) as program:
            remote_state.ensure(environment, program)
    return environment


def stored(aws: Emulator, key: str) -> dict[str, Any]:
    answer = aws.client("s3").get_object(Bucket=BUCKET, Key=key)
    assert answer["ServerSideEncryption"] == "aws:kms"
    document: dict[str, Any] = json.loads(answer["Body"].read())
    return document


def test_a_second_bootstrap_changes_nothing_and_the_state_is_in_the_bucket(
    aws: Emulator, remote: EnvironmentConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    own = stored(aws, f"{STATE_STACK}/terraform.tfstate")
    assert "aws_dynamodb_table" in {resource["type"] for resource in own["resources"]}
    role = aws.client("apigateway").get_account()["cloudwatchRoleArn"]
    assert role == f"arn:aws:iam::{ACCOUNT}:role/trading-platform-api-logs-useast1"
    capfd.readouterr()
    remote_state.main(["bootstrap"])
    assert "0 added, 0 changed, 0 destroyed" in capfd.readouterr().out


def test_a_deploy_bootstraps_only_where_nothing_was(
    aws: Emulator,
    remote: EnvironmentConfig,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # Terraform refuses to apply: whether it is asked to is what matters here.
    monkeypatch.setenv("TF_CLI_ARGS_apply", "-no-such-option")
    with pytest.raises(UserError, match="apply failed for trading-platform-useast1-dev"):
        deploy.main()
    api_gateway = aws.client("apigateway")
    role = api_gateway.get_account()["cloudwatchRoleArn"]
    patch = {"op": "replace", "path": "/cloudwatchRoleArn"}
    api_gateway.update_account(patchOperations=[{**patch, "value": ""}])
    with pytest.raises(UserError, match="apply failed for trading-platform-state-useast1"):
        deploy.main()
    api_gateway.update_account(patchOperations=[{**patch, "value": role}])
    monkeypatch.setenv("REGIONS", "us-west-2")
    with pytest.raises(UserError, match="apply failed for trading-platform-state-uswest2"):
        deploy.main()
    monkeypatch.setenv("STATE", "local")
    with pytest.raises(UserError, match="apply failed for trading-platform-uswest2-dev"):
        deploy.main()


class Small:
    """A stack whose one resource waits until `go` exists, with the real backend."""

    def __init__(self, folder: Path, environment: EnvironmentConfig, terraform: Terraform) -> None:
        self.go = folder / "go"
        self.started = folder / "started"
        self._folder = folder
        self._environment = environment
        self._terraform = terraform
        self.program = terraform.program

    def prepared(self, name: str, stack_name: str = "small", **backend: Any) -> Path:
        """Synthesize and initialize it in its own folder; `backend` changes settings."""
        app = App(outdir=str(self._folder / name))
        stack = TerraformStack(app, stack_name)
        keep_state(stack, self._environment, "us-east-1")
        for setting, value in backend.items():
            stack.add_override(f"terraform.backend.s3.{setting}", value)
        wait = f"touch {self.started}; until [ -e {self.go} ]; do sleep 0.1; done"
        stack.add_override(
            "resource.terraform_data.slow.provisioner", [{"local-exec": {"command": wait}}]
        )
        app.synth()
        folder = self._folder / name / "stacks" / stack_name
        self._terraform.init(folder, *backend_arguments(self._environment, "us-east-1"))
        return folder

    def apply(self, folder: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._terraform.program, f"-chdir={folder}", "apply", "-auto-approve", "-no-color"],
            env=dict(self._terraform.variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def small(remote: EnvironmentConfig, tmp_path: Path) -> Iterator[Small]:
    with installed_terraform(os.environ) as program:
        yield Small(tmp_path, remote, program)


def test_two_applies_exclude_each_other_by_either_lock(aws: Emulator, small: Small) -> None:
    both = small.prepared("both")
    rivals = {
        "both": small.prepared("rival"),
        "the table alone, as before Terraform 1.10": small.prepared("table", use_lockfile=None),
        "the lock file alone": small.prepared("file", dynamodb_table=None),
    }
    first = small.apply(both)
    until(small.started.exists, "the first apply to begin", seconds=30)
    for what, folder in rivals.items():
        rival = small.apply(folder)
        said, _ = rival.communicate(timeout=60)
        assert rival.returncode == 1, what
        assert "Error acquiring the state lock" in said, what
    small.go.touch()
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    state = stored(aws, "small/terraform.tfstate")
    assert [resource["type"] for resource in state["resources"]] == ["terraform_data"]
    # Both locks are free again, for each of them.
    for folder in rivals.values():
        following = small.apply(folder)
        said, _ = following.communicate(timeout=60)
        assert "0 added, 0 changed, 0 destroyed" in said


def test_a_state_that_is_locked_or_lost_is_brought_back_by_the_runbook(
    aws: Emulator,
    small: Small,
    remote: EnvironmentConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stack has the platform's name, so it has its state and its locks."""
    (name,) = remote.stack_names()
    killed = small.apply(small.prepared("killed", name))
    until(small.started.exists, "the apply to begin", seconds=30)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    folder = small.prepared("rerun", name)
    small.go.touch()
    said, _ = small.apply(folder).communicate(timeout=60)
    assert "Error acquiring the state lock" in said
    assert "OperationTypeApply" in said  # with who holds it, and since when
    (lock,) = set(re.findall(r"^\W+ID: +([0-9a-f-]{36})$", said, re.MULTILINE))

    with pytest.raises(UserError, match="LOCK_ID="):
        remote_state.main(["unlock"])
    monkeypatch.setenv("LOCK_ID", "00000000-0000-4000-8000-000000000000")
    with pytest.raises(UserError, match="terraform force-unlock failed"):
        remote_state.main(["unlock"])
    names, unlock, list_versions, delete_digest, restore = commands("stuck-lock")
    run(unlock, os.environ, LOCK_ID=lock, REGION="us-east-1")
    said, _ = small.apply(folder).communicate(timeout=60)
    assert "1 added" in said
    state = stored(aws, f"{name}/terraform.tfstate")
    assert [resource["type"] for resource in state["resources"]] == ["terraform_data"]

    # Killed between the state and the digest of it that is kept in the table.
    digest = {"LockID": {"S": f"{BUCKET}/{name}/terraform.tfstate-md5"}}
    table = {"TableName": "trading-platform-state-locks-useast1"}
    aws.client("dynamodb").put_item(**table, Item={**digest, "Digest": {"S": "0" * 32}})
    said, _ = small.apply(folder).communicate(timeout=60)
    assert "state data in S3 does not have the expected content" in said
    where = {"STACK": name, "REGION": "us-east-1"}
    versions = run(names + list_versions, os.environ, **where).splitlines()
    run(names + delete_digest, os.environ, **where)
    said, _ = small.apply(folder).communicate(timeout=60)
    assert "0 added, 0 changed, 0 destroyed" in said

    # Lost: somebody has deleted the object whose digest the table has.
    body = aws.client("s3").get_object(Bucket=BUCKET, Key=f"{name}/terraform.tfstate")["Body"]
    checksum = hashlib.md5(body.read(), usedforsecurity=False).hexdigest()
    aws.client("dynamodb").put_item(**table, Item={**digest, "Digest": {"S": checksum}})
    aws.client("s3").delete_object(Bucket=BUCKET, Key=f"{name}/terraform.tfstate")
    said, _ = small.apply(folder).communicate(timeout=60)
    assert "state data in S3 does not have the expected content" in said
    after = run(names + list_versions, os.environ, **where).splitlines()
    assert [line.split()[0] for line in after].count("deleted") == 1
    version = versions[0].split()[-1]
    run(names + restore, os.environ, **where, VERSION=version)
    said, _ = small.apply(folder).communicate(timeout=60)
    assert "0 added, 0 changed, 0 destroyed" in said


def test_each_workspace_has_a_state_of_its_own(aws: Emulator, small: Small) -> None:
    folder = small.prepared("workspaces")
    small.go.touch()
    create = [small.program, f"-chdir={folder}", "workspace", "new", "blue"]
    subprocess.run(create, env=os.environ, check=True, capture_output=True)
    said, _ = small.apply(folder).communicate(timeout=60)
    assert "1 added" in said
    assert stored(aws, "env:/blue/small/terraform.tfstate")["resources"]


def test_a_local_state_moves_to_the_bucket_as_it_is(
    aws: Emulator, remote: EnvironmentConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a state file as Terraform has written it; no resource is needed for that."""
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "moved")
    environment = load_environment(os.environ)
    (name,) = environment.stack_names()
    file = environment.local_state_file(name)
    with pytest.raises(UserError, match="there is no such local state"):
        remote_state.main(["migrate"])
    file.parent.mkdir(parents=True, exist_ok=True)
    write_state(file, lineage="one", serial=7)
    remote_state.main(["migrate"])
    assert not file.exists()
    assert file.with_suffix(".moved").exists()
    moved = stored(aws, f"{name}/terraform.tfstate")
    assert moved["outputs"]["vpc_id"]["value"] == "vpc-1"

    # Another deployment never overwrites an existing state.
    write_state(file, lineage="another", serial=8)
    with pytest.raises(UserError, match="terraform state failed"):
        remote_state.main(["migrate"])
    assert file.exists()
    assert stored(aws, f"{name}/terraform.tfstate") == moved


def write_state(file: Path, *, lineage: str, serial: int) -> None:
    file.write_text(
        json.dumps(
            {
                "version": 4,
                "terraform_version": "1.11.4",
                "serial": serial,
                "lineage": lineage,
                "outputs": {"vpc_id": {"value": "vpc-1", "type": "string"}},
                "resources": [],
            }
        )
    )
