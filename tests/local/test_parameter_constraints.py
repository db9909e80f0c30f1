"""The emulator refuses parameters that AWS refuses, with the error code of AWS."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.emulator import Emulator, running_emulator

# Service, operation, parameters, and the error code of AWS with a part of its message.
BAD: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("backup", "create_backup_vault", {"BackupVaultName": "v"}, "InvalidParameterValue", "{2,50}"),
    ("kms", "create_key", {"KeySpec": "AES"}, "ValidationException", "'AES' is none of RSA_2048"),
    ("logs", "create_log_group", {"logGroupName": "a b"}, "InvalidParameter", "'a b' does not"),
    ("iam", "get_role", {"RoleName": "a b"}, "ValidationError", "'a b' does not match"),
    ("ec2", "create_vpc", {"InstanceTenancy": "x"}, "InvalidParameterValue", "is none of default"),
    ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/8"}, "InvalidParameterValue", "from /16 to /28"),
    ("s3", "put_bucket_acl", {"Bucket": "b", "ACL": "all"}, "InvalidArgument", "'all' is none of"),
    ("lambda", "get_function", {"FunctionName": "a b"}, "ValidationException", "does not match"),
    (
        "rds",
        "create_db_cluster",
        {"DBClusterIdentifier": "a--b", "Engine": "aurora-mysql"},
        "InvalidParameterValue",
        "single hyphens",
    ),
    (
        "cloudwatch",
        "put_metric_alarm",
        {"AlarmName": "a", "ComparisonOperator": "Greater", "EvaluationPeriods": 1},
        "Validation",
        "'Greater' is none of",
    ),
    (
        "rds",
        "create_db_cluster",
        {
            "DBClusterIdentifier": "a",
            "Engine": "aurora-mysql",
            "ServerlessV2ScalingConfiguration": {"MaxCapacity": 512},
        },
        "InvalidParameterValue",
        "from 1 to 256 units",
    ),
    (
        "rds",
        "modify_db_cluster_parameter_group",
        {
            "DBClusterParameterGroupName": "a",
            "Parameters": [
                {
                    "ParameterName": "binlog_format",
                    "ParameterValue": "ROW",
                    "ApplyMethod": "immediate",
                }
            ],
        },
        "InvalidParameterValue",
        "the parameter is static",
    ),
]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("constraints") / "local") as running:
        yield running


@pytest.mark.parametrize(("service", "operation", "parameters", "code", "says"), BAD)
def test_what_aws_refuses_is_refused_with_its_error_code(
    emulator: Emulator,
    service: str,
    operation: str,
    parameters: dict[str, Any],
    code: str,
    says: str,
) -> None:
    with pytest.raises(ClientError) as refusal:
        getattr(emulator.client(service), operation)(**parameters)
    error = refusal.value.response
    assert error["Error"]["Code"].startswith(code)
    assert says in error["Error"]["Message"]
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_password_is_not_in_the_answer(emulator: Emulator) -> None:
    with pytest.raises(ClientError) as refusal:
        emulator.client("secretsmanager").create_secret(Name="a", SecretString="x" * 70_000)
    assert "70000 characters is more than 65536" in str(refusal.value)
