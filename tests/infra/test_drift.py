"""What `make drift` says about the data platform, with real Terraform on an emulated account."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.commands import deploy, drift, review
from infra.commands.unmanaged import unmanaged
from infra.config.place import Place
from infra.policies.planner import planner
from shared.cli.errors import UserError
from tests.infra.conftest import ACCOUNT
from tests.support.emulator import Emulator
from tests.support.small_stack import ENVIRONMENT, PARAMETER, REGION, STACK, Document


def findings(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The findings on the stack, which must have drifted."""
    capsys.readouterr()
    with pytest.raises(UserError, match=f"{STACK}: infra must act"):
        drift.main()
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(f"{STACK}: ") for line in lines)
    return [line.removeprefix(f"{STACK}: ") for line in lines]


def test_drift_names_what_differs_from_reality_and_what_is_not_applied(
    aws: Emulator, stack: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    applied = [
        "infra must be applied: the configuration asks to create aws_security_group.database",
        "infra must be applied: the configuration asks to create aws_sns_topic.alarms",
        "infra must be applied: the configuration asks to create aws_ssm_parameter.name",
        "infra must be applied: the configuration asks to create aws_vpc.vpc",
        "infra must be applied: the configuration asks to create "
        "aws_vpc_security_group_ingress_rule.database",
        "infra must be applied: the output owner is not up to date",
    ]
    assert findings(capsys) == applied

    deploy.main()
    capsys.readouterr()
    drift.main()
    assert capsys.readouterr().out == f"{STACK}: no drift\n"

    ssm, sns, ec2 = (aws.client(service) for service in ("ssm", "sns", "ec2"))
    ssm.delete_parameter(Name=PARAMETER)
    (topic,) = (t["TopicArn"] for t in sns.list_topics()["Topics"] if "small" in t["TopicArn"])
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="Other")
    (group,) = ec2.describe_security_groups(
        Filters=[{"Name": "group-name", "Values": ["small-database"]}]
    )["SecurityGroups"]
    everybody: dict[str, Any] = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[everybody])
    sns_changed = "aws_sns_topic.alarms was changed outside Terraform (display_name)"
    stack["resource"]["aws_vpc"]["vpc"]["tags"] = {"Owner": "platform-team"}

    topic_line, parameter_line, vpc_line, rule_line = findings(capsys)
    assert topic_line == f"infra must be applied: {sns_changed}"
    assert parameter_line == (
        "infra must be applied: aws_ssm_parameter.name was deleted outside Terraform"
    )
    assert vpc_line == "infra must be applied: the configuration asks to update aws_vpc.vpc"
    assert rule_line.startswith("infra must remove sgr-")
    assert rule_line.endswith(
        "from the security group small-database: traffic from 0.0.0.0/0, protocol -1"
    )


TRUST = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
"Principal": {"Service": "rds.amazonaws.com"}}]}"""
LOOK = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "rds:Describe*",
"Resource": "*"}]}"""
READ = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
ROLE = f"trading-platform-monitoring-useast1-{ENVIRONMENT}"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def test_drift_names_what_was_added_where_no_plan_shows_it(
    aws: Emulator, stack: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    role = "${aws_iam_role.monitoring.name}"
    own = {"role": role, "name": "own", "policy": LOOK}
    stack["resource"] |= {
        "aws_iam_role": {"monitoring": {"name": ROLE, "assume_role_policy": TRUST}},
        "aws_iam_role_policy": {"own": own},
        "aws_iam_role_policy_attachment": {"read": {"role": role, "policy_arn": READ}},
    }
    deploy.main()
    capsys.readouterr()
    drift.main()
    assert capsys.readouterr().out == f"{STACK}: no drift\n"

    iam, ssm = aws.client("iam"), aws.client("ssm")
    iam.attach_role_policy(RoleName=ROLE, PolicyArn=ADMIN)
    iam.put_role_policy(RoleName=ROLE, PolicyName="more", PolicyDocument=LOOK)
    extra = f"/trading-platform/{ENVIRONMENT}/v1/extra"
    ssm.put_parameter(Name=extra, Value="x", Type="String")
    assert findings(capsys) == [
        f"infra must detach {ADMIN} from the role {ROLE}",
        f"infra must delete the policy more of the role {ROLE}",
        f"infra must delete the parameter {extra}: the contract does not have it",
    ]
    iam.detach_role_policy(RoleName=ROLE, PolicyArn=ADMIN)
    iam.delete_role_policy(RoleName=ROLE, PolicyName="more")
    ssm.delete_parameter(Name=extra)


def test_a_planner_plans_and_finds_drift_where_terraform_reads_a_secret(
    aws: Emulator, stack: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a global database: the value of a secret is written, and read for another resource."""
    version = "aws_secretsmanager_secret_version"
    stack["ephemeral"] = {
        "aws_secretsmanager_random_password": {"master": {"password_length": 40}},
        version: {"master": {"secret_id": f"${{{version}.master.secret_id}}"}},
    }
    secret = {"name": "trading-platform-global-small/database/master"}
    written = "${ephemeral.aws_secretsmanager_random_password.master.random_password}"
    stack["resource"] |= {
        "aws_secretsmanager_secret": {"master": {**secret, "recovery_window_in_days": 0}},
        version: {
            "master": {
                "secret_id": "${aws_secretsmanager_secret.master.arn}",
                "secret_string_wo": written,
                "secret_string_wo_version": 1,
            }
        },
    }
    stack["resource"]["aws_ssm_parameter"]["name"] = {
        "name": PARAMETER,
        "type": "String",
        "value_wo": f"${{ephemeral.{version}.master.secret_string}}",
        "value_wo_version": 1,
    }
    assert len(findings(capsys)) == 7
    deploy.main()

    iam = aws.client("iam")
    iam.create_user(UserName="planner")
    document = json.dumps(planner(Place(ACCOUNT, REGION, ENVIRONMENT)))
    iam.put_user_policy(UserName="planner", PolicyName="own", PolicyDocument=document)
    key = iam.create_access_key(UserName="planner")["AccessKey"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        secrets = boto3.client("secretsmanager", region_name=REGION)
        with pytest.raises(ClientError, match="AccessDenied"):
            secrets.get_secret_value(SecretId=secret["name"])
        capsys.readouterr()
        drift.main()
        assert capsys.readouterr().out == f"{STACK}: no drift\n"
        stack["resource"]["aws_sns_topic"]["alarms"]["display_name"] = "Other"
        review.main()
        assert f"### Plan of `{ENVIRONMENT}`: 1 to change\n" in capsys.readouterr().out


def test_a_stack_that_cannot_be_planned_is_one_clear_line_below_what_terraform_said(
    stack: Document, capfd: pytest.CaptureFixture[str]
) -> None:
    stack["resource"]["aws_vpc"]["vpc"]["cidr_block"] = "not an address"
    with pytest.raises(UserError, match=f"plan failed for {STACK}"):
        drift.main()
    assert "not an address" in capfd.readouterr().err


def test_security_groups_that_aws_does_not_describe_are_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, aws: Emulator
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    group = {
        "mode": "managed",
        "type": "aws_security_group",
        "address": "aws_security_group.database",
        "values": {"id": "sg-1", "name": "database"},
    }
    plan = {"prior_state": {"values": {"root_module": {"resources": [group]}}}}
    with pytest.raises(UserError, match="EC2 in us-east-1 does not answer"):
        list(unmanaged(plan, REGION, ENVIRONMENT))
