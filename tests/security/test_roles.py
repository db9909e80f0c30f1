"""What each role of the platform may do: these actions on these resources only.

A role or a right that is not listed fails the test. tests/infra/test_policies.py tests the
deployers' policies, and tests/platform/test_least_privilege.py deploys with them.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.synthesized import variant
from tests.support.transformed import stack

# AWS's managed policies, for roles that an AWS service uses.
LOGS = "AWSLambdaBasicExecutionRole"
NETWORK = "AWSLambdaVPCAccessExecutionRole"
TRACES = "AWSXrayWriteOnlyAccess"

VIA_SECRETS = " if kms:ViaService is secretsmanager"
VIA_S3 = " if kms:ViaService is s3"


@dataclass(frozen=True)
class Role:
    """Who may assume a role, and what it may then do: resources by action."""

    trusts: str
    may: Mapping[str, frozenset[str]] = field(default_factory=dict)
    managed: frozenset[str] = frozenset()


def role(trusts: str, *managed: str, **may: str | Sequence[str]) -> Role:
    """`service_Action` as a keyword stands for `service:Action`, with its resources."""
    rights = {
        action.replace("_", ":"): frozenset([on] if isinstance(on, str) else on)
        for action, on in may.items()
    }
    return Role(f"{trusts}.amazonaws.com", rights, frozenset(managed))


SERVICE: Mapping[str, Role] = {
    "TradeFunctionRole": role(
        "lambda",
        *(LOGS, NETWORK, TRACES),
        secretsmanager_GetSecretValue="DatabaseAppSecretArn",
        kms_Decrypt=f"KmsKeyArn{VIA_SECRETS}",
    ),
    "MigrationFunctionRole": role(
        "lambda",
        *(LOGS, NETWORK, TRACES),
        secretsmanager_GetSecretValue=("DatabaseAppSecretArn", "DatabaseMasterSecretArn"),
        secretsmanager_PutSecretValue="DatabaseAppSecretArn",
        kms_Decrypt=f"KmsKeyArn{VIA_SECRETS}",
        kms_GenerateDataKey=f"KmsKeyArn{VIA_SECRETS}",
    ),
    "ArchiveFunctionRole": role(
        "lambda",
        *(LOGS, NETWORK, TRACES),
        secretsmanager_GetSecretValue="DatabaseAppSecretArn",
        kms_Decrypt=(f"KmsKeyArn{VIA_SECRETS}", f"KmsKeyArn{VIA_S3}"),
        kms_GenerateDataKey=f"KmsKeyArn{VIA_S3}",
        s3_ListBucket="s3:::DataBucketName if s3:prefix is trades/*",
        s3_PutObject="s3:::DataBucketName/trades/*",
        s3_AbortMultipartUpload="s3:::DataBucketName/trades/*",
        sqs_SendMessage="ArchiveFailures.Arn",
    ),
    "ArchiveFunctionEachHourRole": role(
        "scheduler",
        lambda_InvokeFunction="ArchiveFunction.Arn",
        sqs_SendMessage="ArchiveFailures.Arn",
    ),
    "SmokeCheckFunctionRole": role(
        "lambda",
        *(LOGS, TRACES),
        lambda_InvokeFunction="${TradeFunction.Arn}:*",
        codedeploy_PutLifecycleEventHookExecutionStatus=(
            "codedeploy:here:deploymentgroup:StackName-ServerlessDeploymentApplication-*/*"
        ),
    ),
    "DocumentationFunctionRole": role("lambda", LOGS, TRACES),
    "CodeDeployRole": role("codedeploy", "AWSCodeDeployRoleForLambda"),
}

KEY = "aws_kms_key.encryption_key.arn"
KEYS = (KEY, "aws_kms_key.backup_copy-key.arn")
SNAPSHOTS = "arn:aws:rds:*:account:cluster-snapshot:awsbackup:*"
CLUSTER = "aws_rds_cluster.database_cluster"
VAULTS = (
    "arn:aws:backup:us-east-1:account:backup-vault:trading-platform-useast1-qa",
    "arn:aws:backup:us-west-2:account:backup-vault:trading-platform-copy-useast1-qa",
)
PLATFORM: Mapping[str, Role] = {
    "flow-logs/role": role(
        "vpc-flow-logs",
        logs_CreateLogStream="aws_cloudwatch_log_group.flow-logs_log-group.arn:*",
        logs_DescribeLogStreams="aws_cloudwatch_log_group.flow-logs_log-group.arn:*",
        logs_PutLogEvents="aws_cloudwatch_log_group.flow-logs_log-group.arn:*",
        logs_DescribeLogGroups="*",  # names no resource
    ),
    "database/monitoring-role": role("monitoring.rds", "AmazonRDSEnhancedMonitoringRole"),
    "database-proxy/role": role(
        "rds",
        secretsmanager_GetSecretValue=(
            "aws_secretsmanager_secret.database_app-secret.arn",
            f"try({CLUSTER}.master_user_secret[0].secret_arn, {CLUSTER}.arn)",
        ),
        kms_Decrypt=f"{KEY}{VIA_SECRETS}",
    ),
    "backup/role": role(
        "backup",
        rds_DescribeDBClusters="*",  # names no resource
        rds_DescribeDBClusterSnapshots="*",
        rds_CreateDBClusterSnapshot=(f"{CLUSTER}.arn", SNAPSHOTS),
        rds_ListTagsForResource=(f"{CLUSTER}.arn", SNAPSHOTS),
        rds_AddTagsToResource=SNAPSHOTS,
        rds_CopyDBClusterSnapshot=SNAPSHOTS,
        rds_DeleteDBClusterSnapshot=SNAPSHOTS,
        rds_ModifyDBClusterSnapshotAttribute=SNAPSHOTS,
        backup_CopyFromBackupVault=SNAPSHOTS,
        backup_CopyIntoBackupVault=VAULTS,
        backup_DescribeBackupVault=VAULTS,
        **dict.fromkeys(("kms_Decrypt", "kms_DescribeKey", "kms_Encrypt"), KEYS),
        **dict.fromkeys(("kms_GenerateDataKey*", "kms_ReEncrypt*"), KEYS),
        kms_CreateGrant=[f"{key} if kms:GrantIsForAWSResource is true" for key in KEYS],
    ),
}


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def named(resource: Any) -> str:
    """A resource as the tables write it."""
    if isinstance(resource, dict):
        ((function, value),) = resource.items()
        resource = ".".join(many(value)) if function in ("Ref", "Fn::GetAtt") else value
        # SAM puts a hash behind a version's name.
        resource = re.sub(r"(Version)[0-9a-f]{10}$", r"\1", resource)
        resource = resource.replace("${AWS::Region}:${AWS::AccountId}", "here")
        resource = re.sub(r"\$\{(?:AWS::)?(\w+)\}", r"\1", resource)
    # CDKTF does so behind a construct's name.
    resource = re.sub(r"\$\{data\.aws_caller_identity[\w.]+\}", "account", resource)
    resource = re.sub(r"_[0-9A-F]{8}\b(?=\.|\[)", "", resource)
    resource = re.sub(r"\$\{((?:try\(|aws_)[^}]+)\}", r"\1", resource)
    return str(resource).removeprefix("arn:Partition:")


def under(condition: Any) -> str:
    """A condition as the tables write it."""
    if not condition:
        return ""
    ((_operator, tests),) = condition.items()
    ((key, value),) = tests.items()
    value = value["Fn::Sub"] if isinstance(value, dict) else value
    return f" if {key} is {value.partition('.')[0]}"


def read(trust: Any, documents: Sequence[Any], managed: Sequence[Any]) -> Role:
    """A role as it is in a template or in Terraform's JSON."""
    ((principal, service),) = ((s["Principal"], s["Action"]) for s in trust["Statement"])
    assert many(service) == ["sts:AssumeRole"]
    (trusted,) = many(principal["Service"])
    rights: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        for statement in document["Statement"]:
            assert statement["Effect"] == "Allow"
            for action in many(statement["Action"]):
                for resource in many(statement["Resource"]):
                    rights[action].add(named(resource) + under(statement.get("Condition")))
    return Role(
        trusted,
        {action: frozenset(resources) for action, resources in rights.items()},
        frozenset(named(policy).rpartition("/")[2] for policy in managed),
    )


def service_roles() -> Iterator[tuple[str, Role]]:
    for name, resource in stack().of_type("AWS::IAM::Role").items():
        properties = resource["Properties"]
        yield (
            name,
            read(
                properties["AssumeRolePolicyDocument"],
                [policy["PolicyDocument"] for policy in properties.get("Policies", [])],
                properties.get("ManagedPolicyArns", []),
            ),
        )


def platform_roles() -> Iterator[tuple[str, Role]]:
    made = variant("everything")["us-east-1"]
    policies = made.resources("aws_iam_role_policy").values()
    attachments = made.resources("aws_iam_role_policy_attachment").values()
    for path, body in made.resources("aws_iam_role").items():
        ids = {made.reference("aws_iam_role", path, attribute) for attribute in ("id", "name")}
        yield (
            path,
            read(
                json.loads(body["assume_role_policy"]),
                [json.loads(policy["policy"]) for policy in policies if policy["role"] in ids],
                [one["policy_arn"] for one in attachments if one["role"] in ids],
            ),
        )


@pytest.mark.parametrize("name", SERVICE)
def test_a_role_of_the_service_may_do_what_is_listed_and_nothing_else(name: str) -> None:
    assert dict(service_roles())[name] == SERVICE[name]


@pytest.mark.parametrize("name", PLATFORM)
def test_a_role_of_the_platform_may_do_what_is_listed_and_nothing_else(name: str) -> None:
    assert dict(platform_roles())[name] == PLATFORM[name]


def test_every_role_is_listed() -> None:
    assert dict(service_roles()).keys() == SERVICE.keys()
    assert dict(platform_roles()).keys() == PLATFORM.keys()


def test_no_role_of_either_half_may_do_everything_of_a_service() -> None:
    for found in (*dict(service_roles()).values(), *dict(platform_roles()).values()):
        for action, resources in found.may.items():
            assert action in ("kms:GenerateDataKey*", "kms:ReEncrypt*") or "*" not in action
            assert "*" not in resources or ":Describe" in action
