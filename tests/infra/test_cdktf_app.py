"""What CDKTF's own program is given to apply, and the edits that it is not given."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.commands import cdktf_app
from shared.cli.errors import UserError
from shared.contract.loader import load_contract
from tests.support.emulator import Emulator

SUFFIX = "cli"
STACK = f"trading-platform-useast1-{SUFFIX}"


@pytest.fixture
def app(aws: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Run the app with an environment's file."""
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", SUFFIX)

    def run(settings: str = "") -> None:
        file = tmp_path / "cli.toml"
        file.write_text(settings)
        cdktf_app.main({**os.environ, "ENVIRONMENT_FILE": str(file)})

    return run


@pytest.fixture
def deployed(aws: Emulator) -> Iterator[None]:
    """A database, a network and a published contract."""
    rds, ec2, ssm = (aws.client(service) for service in ("rds", "ec2", "ssm"))
    path = load_contract().version_path(SUFFIX)
    rds.create_db_cluster(
        DBClusterIdentifier=STACK,
        Engine="aurora-mysql",
        DatabaseName="trading",
        MasterUsername="platform_admin",
        ManageMasterUserPassword=True,
    )
    vpc = ec2.create_vpc(CidrBlock="10.10.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "Stack", "Value": STACK}])
    ssm.put_parameter(Name=path, Value="1.1.0", Type="String")
    yield
    ssm.delete_parameter(Name=path)
    ec2.delete_vpc(VpcId=vpc)
    rds.delete_db_cluster(DBClusterIdentifier=STACK, SkipFinalSnapshot=True)


def stacks() -> dict[str, Any]:
    """What was synthesized, by stack."""
    folder = Path(os.environ["CDKTF_OUTDIR"])
    found = json.loads((folder / "manifest.json").read_text())["stacks"]
    return {
        name: json.loads((folder / "stacks" / name / "cdk.tf.json").read_text()) for name in found
    }


def test_a_deploy_of_all_stacks_leaves_the_state_buckets_alone(
    app: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    app("")
    assert list(stacks()) == [STACK]


def test_without_aws_everything_is_synthesized_and_nothing_compared(
    app: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    app("")
    assert "note: not compared with what is deployed: Unable to locate" in capsys.readouterr().err
    assert list(stacks()) == [STACK]


@pytest.mark.parametrize(
    ("settings", "way"),
    [
        ('[database]\nname = "ledger"', "another database.name replaces the cluster"),
        ('[database]\nmaster_username = "boss"', "another database.master_username replaces"),
        ('[database]\nglobal_regions = ["us-east-1", "us-west-2"]', "joins or leaves a global"),
        ('[regions.us-east-1]\ncidr = "10.99.0.0/16"', "another cidr replaces the network"),
        ("", "it is deployed, but there is no state of it: is STATE wrong, or is the state lost"),
    ],
)
def test_what_would_replace_the_deployed_is_not_synthesized(
    app: Callable[[str], None], deployed: None, settings: str, way: str
) -> None:
    with pytest.raises(UserError, match=f"^{STACK}: .*{way}"):
        app(settings)
    assert not Path(os.environ["CDKTF_OUTDIR"], "manifest.json").exists()


def test_what_is_deployed_can_be_deployed_again(app: Callable[[str], None], deployed: None) -> None:
    state = Path(os.environ["STATE_DIR"])
    state.mkdir(parents=True)
    (state / f"{STACK}.tfstate").touch()
    app("")
    assert list(stacks()) == [STACK]


def test_a_state_in_the_bucket_needs_no_argument(
    app: Callable[[str], None],
    deployed: None,
    aws: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The bucket and its key are made as `make bootstrap-state` names them."""
    monkeypatch.setenv("STATE", "s3")
    monkeypatch.setenv("REGIONS", "us-west-2")
    region = "us-west-2"
    app("")
    assert "note: there is no state bucket in us-west-2" in capsys.readouterr().err

    bucket = "trading-platform-state-000000000000-uswest2"
    s3, kms = (boto3.client(service, region_name=region) for service in ("s3", "kms"))
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    key = kms.create_key()["KeyMetadata"]
    kms.create_alias(AliasName="alias/trading-platform-state-uswest2", TargetKeyId=key["KeyId"])
    try:
        app("")
        (stack,) = stacks().values()
        backend = stack["terraform"]["backend"]["s3"]
        assert (backend["bucket"], backend["kms_key_id"]) == (bucket, key["Arn"])
        # Of a deployed platform, the state must be there.
        name = "trading-platform-uswest2-cli"
        boto3.client("rds", region_name=region).create_db_cluster(
            DBClusterIdentifier=name,
            Engine="aurora-mysql",
            MasterUsername="platform_admin",
            ManageMasterUserPassword=True,
        )
        path = load_contract().version_path(SUFFIX)
        boto3.client("ssm", region_name=region).put_parameter(
            Name=path, Value="1.1.0", Type="String"
        )
        with pytest.raises(UserError, match="there is no state of it"):
            app("")
        s3.put_object(Bucket=bucket, Key=f"{name}/terraform.tfstate", Body=b"{}")
        app("")
    finally:
        kms.delete_alias(AliasName="alias/trading-platform-state-uswest2")
        for each in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=each["Key"])
        s3.delete_bucket(Bucket=bucket)
        boto3.client("ssm", region_name=region).delete_parameter(Name=path)
        boto3.client("rds", region_name=region).delete_db_cluster(
            DBClusterIdentifier=name, SkipFinalSnapshot=True
        )
