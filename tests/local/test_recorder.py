"""The emulator records the calls that it gets, and the certificate judges them."""

import json
from typing import Any

import pytest
import requests

from certify.calls import refused
from certify.recording import Call, recorded
from tests.support.emulator import Emulator, running_emulator

TAGS = [{"TagKey": "Project", "TagValue": "trading-platform"}]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Call]:
    folder = tmp_path_factory.mktemp("recorded") / "local"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RECORD_CALLS", "1")
        patch.setenv("LOCAL_ENFORCE_IAM", "1")
        with running_emulator(folder) as emulator:
            ask(emulator)
    file = folder / "calls.jsonl"
    assert all("not for everybody" not in line for line in file.read_text().splitlines())
    return {call.operation: call for call in recorded(file) if isinstance(call, Call)}


def user(emulator: Emulator, policy: dict[str, Any]) -> tuple[str, str]:
    """The access key of a new user with a policy."""
    iam: Any = emulator.client("iam")
    iam.create_user(UserName="u")
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="u")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


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
    backup: Any = emulator.client("backup")
    backup.create_backup_vault(BackupVaultName="vault", BackupVaultTags={"Project": "a"})
    rule = {"RuleName": "daily", "TargetBackupVaultName": "vault"}
    plan = {"BackupPlanName": "plan", "Rules": [rule]}
    made = backup.create_backup_plan(BackupPlan=plan, BackupPlanTags={"Project": "b"})
    of_the_tag = {"StringEquals": {"aws:ResourceTag/Project": "b"}}
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": of_the_tag}
    key = user(emulator, {"Version": "2012-10-17", "Statement": [statement]})
    emulator.client("backup", key=key).list_backup_selections(BackupPlanId=made["BackupPlanId"])
    emulator.client("rds").create_global_cluster(
        GlobalClusterIdentifier="world", Engine="aurora-mysql"
    )
    emulator.client("lambda").get_account_settings()
    # Terraform leaves out the slash at the end of such a path.
    signature = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/backup/aws4_request"
    requests.get(
        f"{emulator.url}/backup/plans/none", headers={"Authorization": signature}, timeout=30
    )


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
    assert parameters["CreateBackupVault"]["BackupVaultName"] == "vault"
    assert parameters["GetAccountSettings"] == {}
    assert parameters["GetBackupPlan"] == {"BackupPlanId": "none"}


def test_a_call_is_recorded_with_caller_tool_action_and_resource(calls: dict[str, Call]) -> None:
    call = calls["CreateBucket"]
    assert (call.caller, call.tool) == ("arn:aws:iam::000000000000:root", "boto3")
    (check,) = call.checks
    assert (check.action, check.resource) == ("s3:CreateBucket", "arn:aws:s3:::recorded")
    assert call.succeeded
    assert calls["GetAccountSettings"].checks[0].action == "lambda:GetAccountSettings"
    assert json.loads(json.dumps(calls["CreateKey"].checks[0].context)) != {}


def test_backup_plans_are_checked_by_tags_and_global_databases_by_name(
    calls: dict[str, Call],
) -> None:
    tags = {
        name: calls[name].checks[0].context["aws:requesttag/project"]
        for name in ("CreateBackupVault", "CreateBackupPlan")
    }
    assert tags == {"CreateBackupVault": "a", "CreateBackupPlan": "b"}
    context = calls["ListBackupSelections"].checks[0].context
    assert context["aws:resourcetag/project"] == "b"
    (check,) = calls["CreateGlobalCluster"].checks
    assert check.resource == "arn:aws:rds::000000000000:global-cluster:world"


def test_no_call_that_succeeds_here_is_refused_by_the_judges(calls: dict[str, Call]) -> None:
    assert {name: found for name, call in calls.items() if (found := list(refused(call)))} == {}
