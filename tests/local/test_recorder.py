"""The emulator records the calls that it gets, and the certificate judges them."""

import json
from typing import Any

import pytest

from certify.calls import Call, recorded, refused
from tests.support.emulator import Emulator, running_emulator

TAGS = [{"TagKey": "Project", "TagValue": "trading-platform"}]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Call]:
    folder = tmp_path_factory.mktemp("recorded") / "local"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RECORD_CALLS", "1")
        with running_emulator(folder) as emulator:
            ask(emulator)
    file = folder / "calls.jsonl"
    assert all("not for everybody" not in line for line in file.read_text().splitlines())
    return {call.operation: call for call in recorded(file)}


def ask(emulator: Emulator) -> None:
    """One call in each protocol of AWS, and one that AWS refuses."""
    s3: Any = emulator.client("s3")
    s3.create_bucket(Bucket="recorded")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket="recorded", ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket="recorded", Key="folder/name", Body=b"content")
    emulator.client("ec2").create_vpc(
        CidrBlock="10.9.0.0/16",
        TagSpecifications=[{"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    emulator.client("kms").create_key(Tags=TAGS)
    emulator.client("secretsmanager").create_secret(Name="s", SecretString="not for everybody")
    emulator.client("cloudwatch").put_metric_alarm(
        AlarmName="a",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        MetricName="m",
        Namespace="n",
        Period=60,
        Statistic="Sum",
        Threshold=1.5,
    )
    emulator.client("sns").create_topic(Name="t", Attributes={"DisplayName": "d"})
    emulator.client("backup").create_backup_vault(BackupVaultName="v")
    emulator.client("lambda").get_account_settings()


def test_a_call_of_each_protocol_is_read_back(calls: dict[str, Call]) -> None:
    parameters = {name: call.parameters for name, call in calls.items()}
    rules = parameters["PutBucketEncryption"]["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules == [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
    assert parameters["PutObject"]["Key"] == "folder/name"
    assert parameters["CreateVpc"]["TagSpecifications"] == [
        {"ResourceType": "vpc", "Tags": [{"Key": "a", "Value": "b"}]}
    ]
    assert parameters["CreateKey"]["Tags"] == TAGS
    assert parameters["CreateSecret"]["SecretString"] == "(hidden)"
    assert parameters["PutMetricAlarm"]["Threshold"] == 1.5
    assert parameters["PutMetricAlarm"]["EvaluationPeriods"] == 1
    assert parameters["CreateTopic"]["Attributes"] == {"DisplayName": "d"}
    assert parameters["CreateBackupVault"]["BackupVaultName"] == "v"
    assert parameters["GetAccountSettings"] == {}


def test_a_call_is_recorded_with_caller_tool_action_and_resource(calls: dict[str, Call]) -> None:
    call = calls["CreateBucket"]
    assert (call.caller, call.tool) == ("arn:aws:iam::000000000000:root", "boto3")
    assert (call.action, call.resource) == ("s3:CreateBucket", "arn:aws:s3:::recorded")
    assert call.succeeded
    assert calls["GetAccountSettings"].action == "lambda:GetAccountSettings"
    assert json.loads(json.dumps(calls["CreateKey"].context)) != {}


def test_what_aws_refuses_of_a_recorded_call_is_named(calls: dict[str, Call]) -> None:
    found = {name: list(refused(call)) for name, call in calls.items()}
    bad = found.pop("CreateBackupVault")
    assert "BackupVaultName: 'v' does not match" in str(bad)
    assert {name: reasons for name, reasons in found.items() if reasons} == {}
