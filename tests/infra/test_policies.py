"""What each deployer may do, decided by IAM's policy simulator."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.commands import policies as policies_command
from infra.config.place import Place
from infra.policies.catalogue import POLICIES
from infra.policies.evaluation import Access
from infra.policies.evaluation import decision as evaluated
from infra.policies.infra_deployer import infra_deployer, infra_deployer_access
from infra.policies.planner import planner
from infra.policies.preview_limits import preview_limits
from infra.policies.service_boundary import BOUNDARY, boundary_arn, service_boundary
from infra.policies.service_deployer import (
    SERVICE_DEPLOYER,
    SERVICE_DEPLOYER_ACCESS,
    service_deployer,
    service_deployer_access,
)
from infra.policies.statements import MAX_CHARACTERS, Document
from service.deploy.parameters import release_parameters
from shared.naming import ENVIRONMENT_SUFFIX_MAX, REGION_CODES
from tests.support.emulator import Emulator
from tests.support.synthesized import synthesized
from tests.support.transformed import Stack, stack

PLACE = Place("123456789012", "us-east-1", "dev")
SERVICE = "trading-platform-service-useast1-dev"
PREVIEW = f"{SERVICE}--pr-42"
HERE = "us-east-1:123456789012"
ROLES = "arn:aws:iam::123456789012:role"
ROLE = f"{ROLES}/{SERVICE}/trading-platform-service-TradeFunctionRole-1"
FUNCTION = f"arn:aws:lambda:{HERE}:function:{SERVICE}-TradeFunction-1"
APPLICATION = f"arn:aws:codedeploy:{HERE}:application:{SERVICE}-ServerlessDeploymentApplication-1"
GROUP = f"{APPLICATION.replace(':application:', ':deploymentgroup:')}/group"
SCHEDULE = f"arn:aws:scheduler:{HERE}:schedule/default/{SERVICE}-archive"
QUEUE = f"arn:aws:sqs:{HERE}:trade-failures_dev_1234567890ab"
ALARM = f"arn:aws:cloudwatch:{HERE}:alarm:{SERVICE}-TradeErrorsAlarm-1"
KEY = f"arn:aws:kms:{HERE}:key/1"
LOCKS = f"arn:aws:dynamodb:{HERE}:table/trading-platform-state-locks-useast1"
STATE_BUCKET = "arn:aws:s3:::trading-platform-state-123456789012-useast1"
OWN_KEY = {"kms:ResourceAliases": "alias/trading-us-east-1-dev"}
FOREIGN_KEY = {"kms:ResourceAliases": "alias/payroll"}
STACK = "aws:ResourceTag/aws:cloudformation:stack-name"
IN_A_FUNCTION = {"lambda:SourceFunctionArn": FUNCTION}
BOUNDED = {"iam:PermissionsBoundary": boundary_arn(PLACE)}
AWS_POLICY = "arn:aws:iam::aws:policy"
ADMINISTRATOR = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}

Decide = Callable[..., str]


def app_team(place: Place = PLACE) -> list[Document]:
    """The policies of those who deploy the service."""
    return [service_deployer(place), service_deployer_access(place)]


def platform_team(place: Place = PLACE) -> list[Document]:
    """The policies of those who deploy the data platform."""
    return [infra_deployer(place), infra_deployer_access(place)]


def preview_stack() -> Stack:
    """The stack of a preview, with the parameters of its release."""
    return stack(**release_parameters({}, "dev", "pr-42", production=False))


@pytest.fixture(scope="module")
def decide(emulated_account: Emulator) -> Decide:
    """The simulator's decision on one request, under policies and perhaps a boundary."""

    def decision(
        action: str,
        resource: str,
        *documents: Document,
        context: Mapping[str, str] | None = None,
        boundary: Document | None = None,
        region: str = "us-east-1",
    ) -> str:
        iam = emulated_account.client("iam", region)
        more: dict[str, Any] = (
            {"PermissionsBoundaryPolicyInputList": [json.dumps(boundary)]} if boundary else {}
        )
        answer = iam.simulate_custom_policy(
            PolicyInputList=[json.dumps(document) for document in documents],
            ActionNames=[action],
            ResourceArns=[resource],
            ContextEntries=[
                {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
                for key, value in (context or {}).items()
            ],
            **more,
        )
        (result,) = answer["EvaluationResults"]
        # Plans are judged without IAM: the evaluation that judges them must agree with it.
        access = Access(action, resource, {"aws:RequestedRegion": region, **(context or {})})
        assert evaluated(access, documents, boundary) == result["EvalDecision"]
        return str(result["EvalDecision"])

    return decision


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("cloudformation:CreateChangeSet", f"arn:aws:cloudformation:{HERE}:stack/{SERVICE}/1", {}),
        (
            "cloudformation:CreateChangeSet",
            "arn:aws:cloudformation:us-east-1:aws:transform/Serverless-2016-10-31",
            {},
        ),
        ("cloudformation:ExecuteChangeSet", f"arn:aws:cloudformation:{HERE}:stack/{SERVICE}/1", {}),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/{SERVICE}/1", {}),
        ("s3:ListBucket", PLACE.bucket("code"), {}),
        ("s3:PutObject", f"{PLACE.bucket('code')}/{SERVICE}/package", {}),
        # The account's concurrency is asked for before an upload.
        ("lambda:GetAccountSettings", "*", {}),
        ("ssm:GetParameters", f"arn:aws:ssm:{HERE}:parameter/trading-platform/dev/v1/vpc/id", {}),
        ("ssm:ListTagsForResource", f"arn:aws:ssm:{HERE}:parameter/trading-platform/dev/v1/a", {}),
        ("kms:GenerateDataKey", KEY, OWN_KEY),
        ("iam:CreateRole", ROLE, BOUNDED),
        ("iam:PutRolePolicy", ROLE, BOUNDED),
        ("iam:PassRole", ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
        ("lambda:CreateFunction", FUNCTION, {}),
        ("lambda:PublishLayerVersion", f"arn:aws:lambda:{HERE}:layer:{SERVICE}-dependencies", {}),
        ("apigateway:POST", "arn:aws:apigateway:us-east-1::/restapis", {}),
        ("logs:CreateLogGroup", f"arn:aws:logs:{HERE}:log-group:/aws/lambda/{SERVICE}/trade", {}),
        (
            "scheduler:CreateSchedule",
            f"arn:aws:scheduler:{HERE}:schedule/default/{SERVICE}-archive",
            {},
        ),
        ("codedeploy:CreateDeployment", APPLICATION, {}),
        (
            "cloudwatch:PutMetricAlarm",
            f"arn:aws:cloudwatch:{HERE}:alarm:{SERVICE}-TradeErrorsAlarm-1",
            {},
        ),
        ("ec2:DescribeSubnets", "*", {}),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/{PREVIEW}/1", {}),
        ("s3:PutObject", f"{PLACE.bucket('code')}/{PREVIEW}/package", {}),
        ("logs:CreateLogGroup", f"arn:aws:logs:{HERE}:log-group:/aws/lambda/{PREVIEW}/trade", {}),
        (
            "lambda:CreateFunction",
            f"arn:aws:lambda:{HERE}:function:CodeDeployHook_trade_dev--pr-42",
            {},
        ),
    ],
)
def test_the_service_deployer_can_release_the_service(
    decide: Decide, action: str, resource: str, context: dict[str, str]
) -> None:
    assert decide(action, resource, *app_team(), context=context) == "allowed"


DATA_LAYER = [
    ("ec2:DeleteVpc", f"arn:aws:ec2:{HERE}:vpc/vpc-1"),
    ("ec2:CreateSubnet", f"arn:aws:ec2:{HERE}:vpc/vpc-1"),
    ("ec2:AuthorizeSecurityGroupIngress", f"arn:aws:ec2:{HERE}:security-group/sg-1"),
    ("ec2:ReplaceRoute", f"arn:aws:ec2:{HERE}:route-table/rtb-1"),
    ("kms:ScheduleKeyDeletion", KEY),
    ("kms:PutKeyPolicy", KEY),
    ("kms:DisableKeyRotation", KEY),
    ("kms:CreateGrant", KEY),
    ("rds:ModifyDBCluster", f"arn:aws:rds:{HERE}:cluster:trading-platform-useast1-dev"),
    ("rds:DeleteDBInstance", f"arn:aws:rds:{HERE}:db:trading-platform-useast1-dev-1"),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:rds!cluster-1"),
    *(
        (f"secretsmanager:{name}", f"arn:aws:secretsmanager:{HERE}:secret:{PLACE.platform}/x-1")
        for name in ("GetSecretValue", "PutSecretValue", "DeleteSecret", "PutResourcePolicy")
    ),
    ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:{PREVIEW}/database-1"),
    ("ssm:PutParameter", f"arn:aws:ssm:{HERE}:parameter/trading-platform/dev/v1/vpc/id"),
    ("ssm:DeleteParameters", f"arn:aws:ssm:{HERE}:parameter/trading-platform/dev/v1/vpc/id"),
    ("s3:GetObject", f"{STATE_BUCKET}/trading-platform-useast1-dev/terraform.tfstate"),
    ("s3:PutBucketPolicy", PLACE.bucket("data")),
    (
        "dynamodb:DeleteItem",
        f"arn:aws:dynamodb:{HERE}:table/trading-platform-state-locks-useast1",
    ),
    ("iam:CreatePolicyVersion", boundary_arn(PLACE)),
    ("iam:DeleteRolePermissionsBoundary", ROLE),
    ("iam:CreateAccessKey", "arn:aws:iam::123456789012:user/administrator"),
    ("sts:AssumeRole", "arn:aws:iam::123456789012:role/trading-platform-monitoring"),
]


@pytest.mark.parametrize(("action", "resource"), DATA_LAYER)
def test_the_service_deployer_cannot_touch_the_data_layer_even_beside_an_administrators_policy(
    decide: Decide, action: str, resource: str
) -> None:
    documents = [*app_team(), ADMINISTRATOR]
    assert decide(action, resource, *documents, context=OWN_KEY) == "explicitDeny"


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("iam:CreateRole", ROLE, {}),
        ("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/Any"}),
        ("iam:AttachRolePolicy", ROLE, {}),
        ("iam:PutRolePolicy", ROLE, {}),
        ("iam:PutRolePermissionsBoundary", ROLE, {}),
        ("iam:CreateRole", "arn:aws:iam::123456789012:role/administrator", BOUNDED),
        ("iam:PassRole", ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}),
        (
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/administrator",
            {"iam:PassedToService": "lambda.amazonaws.com"},
        ),
        # API Gateway's role may read all logs, and whom a role trusts is for the boundary to bear.
        ("iam:CreateRole", f"{ROLES}/{SERVICE}/ApiGatewayRole-1", {}),
        (
            "iam:AttachRolePolicy",
            f"{ROLES}/{SERVICE}/ApiGatewayRole-1",
            {"iam:PolicyARN": f"{AWS_POLICY}/service-role/AmazonAPIGatewayPushToCloudWatchLogs"},
        ),
        ("iam:PassRole", ROLE, {"iam:PassedToService": "apigateway.amazonaws.com"}),
        ("apigateway:PATCH", "arn:aws:apigateway:us-east-1::/account", {}),
        ("iam:UpdateAssumeRolePolicy", ROLE, BOUNDED),
        ("iam:UpdateRole", ROLE, BOUNDED),
        ("lambda:UpdateFunctionCode", f"arn:aws:lambda:{HERE}:function:payroll", {}),
        # Other teams' APIs, usage plans and web ACLs.
        *(
            (f"apigateway:{verb}", f"arn:aws:apigateway:us-east-1::/{path}", tags)
            for verb, path in (
                ("GET", "restapis/abc"),
                ("PATCH", "restapis/abc"),
                ("DELETE", "restapis/abc"),
                ("POST", "restapis/abc/deployments"),
                ("SetWebACL", "restapis/abc/stages/live"),
                ("UpdateRestApiPolicy", "restapis/abc"),
                ("PATCH", "usageplans/abc"),
                ("DELETE", "usageplans/abc"),
            )
            for tags in ({}, {STACK: "payroll"}, {STACK: SERVICE.replace("-dev", "-production")})
        ),
        *(
            (f"wafv2:{verb}", f"arn:aws:wafv2:{HERE}:regional/webacl/payroll/1", {})
            for verb in ("CreateWebACL", "DeleteWebACL", "UpdateWebACL")
        ),
        ("kms:Decrypt", KEY, FOREIGN_KEY),
        (
            "cloudformation:UpdateStack",
            f"arn:aws:cloudformation:{HERE}:stack/trading-platform-service-useast1-prod/1",
            {},
        ),
        (
            "lambda:CreateFunction",
            FUNCTION.replace("us-east-1", "us-west-2"),
            {},
        ),
    ],
)
def test_the_service_deployer_cannot_escalate_or_leave_its_place(
    decide: Decide, action: str, resource: str, context: dict[str, str]
) -> None:
    assert decide(action, resource, *app_team(), context=context) == "implicitDeny"


# The migration reads the master user's secret.
@pytest.mark.parametrize(
    ("action", "resource"), [case for case in DATA_LAYER if "SecretValue" not in case[0]]
)
def test_a_role_of_a_service_cannot_touch_the_data_layer_whatever_its_own_policies_allow(
    decide: Decide, action: str, resource: str
) -> None:
    boundary = service_boundary(PLACE)
    for context in ({}, IN_A_FUNCTION):
        decision = decide(action, resource, ADMINISTRATOR, boundary=boundary, context=context)
        assert decision in ("implicitDeny", "explicitDeny")


def resources(stack_name: str, folder: str, secrets: str) -> Mapping[str, str]:
    """A resource of a copy of the service for each service that functions' own policies name."""
    bucket = PLACE.bucket("data")
    return {
        "codedeploy": GROUP.replace(SERVICE, stack_name),
        "kms": KEY,
        "lambda": f"{FUNCTION}:1",
        "s3": f"{bucket}/{folder}trades/1",
        "s3:DeleteObjectVersion": f"{bucket}/{folder}trades/1",
        "s3:ListBucket": bucket,
        "s3:ListBucketVersions": bucket,
        "secretsmanager": f"arn:aws:secretsmanager:{HERE}:secret:{secrets}/database/x",
        "sqs": QUEUE if stack_name == SERVICE else QUEUE.replace("_dev_", "_dev--pr-42_"),
    }


@pytest.mark.parametrize(
    ("stage", "folder", "secrets"),
    [("", "", PLACE.platform), ("pr-42", "previews/pr-42/", PREVIEW)],
)
def test_the_boundary_leaves_the_roles_all_that_their_own_policies_allow(
    decide: Decide, stage: str, folder: str, secrets: str
) -> None:
    boundary, name = service_boundary(PLACE), PREVIEW if stage else SERVICE
    statements = [
        statement
        for role in (preview_stack() if stage else stack()).of_type("AWS::IAM::Role").values()
        for policy in role["Properties"].get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    assert statements
    context = {
        **OWN_KEY,
        **IN_A_FUNCTION,
        "s3:prefix": "previews/pr-42/",
        "aws:PrincipalArn": f"{ROLES}/{name}/trading-platform-service-Role-1",
        STACK: name,
    }
    own = resources(name, folder, secrets)
    for statement in statements:
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            resource = own.get(action) or own[action.partition(":")[0]]
            allowed = decide(action, resource, ADMINISTRATOR, boundary=boundary, context=context)
            assert allowed == "allowed", action


def test_the_boundary_leaves_codedeploy_what_aws_allows_its_role_by_default(
    decide: Decide,
) -> None:
    # https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSCodeDeployRoleForLambda.html
    # No deployment of the service reads its revision from a bucket or publishes to a topic.
    boundary = service_boundary(PLACE)
    context = {"aws:PrincipalArn": f"{ROLES}/{SERVICE}/CodeDeployRole", STACK: SERVICE}
    for action, resource in (
        ("cloudwatch:DescribeAlarms", "*"),
        ("lambda:GetAlias", FUNCTION),
        ("lambda:GetProvisionedConcurrencyConfig", f"{FUNCTION}:live"),
        ("lambda:UpdateAlias", FUNCTION),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{HERE}:function:CodeDeployHook_trade_dev"),
    ):
        allowed = decide(action, resource, ADMINISTRATOR, boundary=boundary, context=context)
        assert allowed == "allowed", action


def test_the_roles_of_a_preview_reach_nothing_of_the_environments_own_service(
    decide: Decide,
) -> None:
    """Their author decides what their own policies allow."""
    boundary = service_boundary(PLACE)
    platform = f"arn:aws:secretsmanager:{HERE}:secret:{PLACE.platform}/database/trade_app-1"
    for action, resource, more in (
        ("logs:PutLogEvents", f"{OWN_LOGS[0]}:log-stream:1", {}),
        ("lambda:InvokeFunction", f"{FUNCTION}:live", {STACK: SERVICE}),
        ("lambda:UpdateAlias", FUNCTION, {STACK: SERVICE}),
        ("sqs:SendMessage", QUEUE, {}),
        ("codedeploy:PutLifecycleEventHookExecutionStatus", GROUP, {}),
        ("secretsmanager:GetSecretValue", platform, {}),
        ("secretsmanager:PutSecretValue", platform.replace("useast1", "global"), {}),
        ("rds-db:connect", f"arn:aws:rds-db:{HERE}:dbuser:cluster-1/trade_app", {}),
        ("s3:GetObject", f"{PLACE.bucket('data')}/trades/1", {}),
        ("s3:PutObject", f"{PLACE.bucket('data')}/trades/1", {}),
    ):
        for name, expected in ((SERVICE, "allowed"), (PREVIEW, "explicitDeny")):
            role = {"aws:PrincipalArn": f"{ROLES}/{name}/trading-platform-service-Role-1"}
            context = {**IN_A_FUNCTION, **role, **more}
            decision = decide(action, resource, ADMINISTRATOR, boundary=boundary, context=context)
            assert decision == expected, (action, name)


@pytest.mark.parametrize(
    ("action", "resource", "prefix"),
    [
        ("s3:DeleteObjectVersion", f"{PLACE.bucket('data')}/trades/1", ""),
        ("s3:ListBucketVersions", PLACE.bucket("data"), "trades/"),
        ("s3:ListBucketVersions", PLACE.bucket("data"), ""),
    ],
)
def test_no_role_of_a_service_deletes_versions_of_the_environments_objects(
    decide: Decide, action: str, resource: str, prefix: str
) -> None:
    boundary = service_boundary(PLACE)
    context = IN_A_FUNCTION | ({"s3:prefix": prefix} if prefix else {})
    decision = decide(action, resource, ADMINISTRATOR, boundary=boundary, context=context)
    assert decision == "implicitDeny"


OTHERS = ["dev2", "dev-2", "de", "dev-pr-42", "dev-trade", "production"]


@pytest.mark.parametrize("environment", OTHERS)
def test_resources_of_another_environment_are_out_of_the_app_teams_reach(
    decide: Decide, environment: str
) -> None:
    other = f"trading-platform-service-useast1-{environment}"
    for name in (other, f"{other}--pr-42"):
        stage = name.removeprefix("trading-platform-service-useast1-")
        queue = f"arn:aws:sqs:{HERE}:trade-failures_{stage}_1234567890ab"
        for action, resource in (
            ("cloudformation:DeleteStack", f"arn:aws:cloudformation:{HERE}:stack/{name}/1"),
            ("s3:DeleteObject", f"{PLACE.bucket('code')}/{name}/package"),
            ("logs:DeleteLogGroup", f"arn:aws:logs:{HERE}:log-group:/aws/lambda/{name}/trade"),
            ("logs:DeleteLogGroup", f"arn:aws:logs:{HERE}:log-group:/aws/apigateway/{name}/access"),
            (
                "lambda:UpdateFunctionCode",
                f"arn:aws:lambda:{HERE}:function:CodeDeployHook_trade_{environment}",
            ),
            ("lambda:DeleteLayerVersion", f"arn:aws:lambda:{HERE}:layer:{name}-dependencies:1"),
            ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{HERE}:alarm:{name}-TradeErrors-1"),
            (
                "cloudwatch:DeleteDashboards",
                f"arn:aws:cloudwatch::123456789012:dashboard/{name}",
            ),
            (
                "codedeploy:CreateDeployment",
                f"arn:aws:codedeploy:{HERE}:deploymentgroup:{name}-ServerlessDeployment-1/group",
            ),
            (
                "scheduler:DeleteSchedule",
                f"arn:aws:scheduler:{HERE}:schedule/default/{name}-archive",
            ),
            ("iam:DeleteRole", f"{ROLES}/{name}/trading-platform-service-TradeFunctionRole-1"),
            ("iam:PassRole", f"{ROLES}/{name}/trading-platform-service-MigrationFunctionRole-1"),
            ("sqs:PurgeQueue", queue),
        ):
            context = {**BOUNDED, "iam:PassedToService": "lambda.amazonaws.com"}
            decision = decide(action, resource, *app_team(), context=context)
            assert decision == "implicitDeny", resource
        boundary = service_boundary(PLACE)
        for action, resource in (
            (
                "logs:PutLogEvents",
                f"arn:aws:logs:{HERE}:log-group:/aws/lambda/{name}/trade:log-stream:1",
            ),
            ("sqs:SendMessage", queue),
        ):
            context = {**IN_A_FUNCTION, "aws:PrincipalArn": ROLE}
            decision = decide(action, resource, ADMINISTRATOR, boundary=boundary, context=context)
            assert decision == "implicitDeny", resource
        # Their names do not tell whose they are.
        theirs = {STACK: name}
        for action, resource in (
            ("lambda:UpdateFunctionCode", FUNCTION),
            ("lambda:AddPermission", FUNCTION),
            ("lambda:InvokeFunction", f"{FUNCTION}:live"),
        ):
            assert decide(action, resource, *app_team(), context=theirs) == "explicitDeny"
        for action, resource in (
            ("lambda:InvokeFunction", f"{FUNCTION}:live"),
            ("lambda:UpdateAlias", FUNCTION),
        ):
            context = {**IN_A_FUNCTION, **theirs}
            decision = decide(action, resource, ADMINISTRATOR, boundary=boundary, context=context)
            assert decision == "explicitDeny"
    secret = f"arn:aws:secretsmanager:{HERE}:secret:{other}--pr-42/database-1"
    assert decide("secretsmanager:DeleteSecret", secret, *app_team()) == "explicitDeny"


@pytest.mark.parametrize("environment", OTHERS)
def test_resources_of_another_environment_are_out_of_the_platform_teams_reach(
    decide: Decide, environment: str
) -> None:
    other = Place("123456789012", "us-east-1", environment)
    tags = {
        "aws:ResourceTag/Project": "trading-platform",
        "aws:ResourceTag/Environment": environment,
    }
    iam = "arn:aws:iam::123456789012"
    attempts = [
        ("rds:DeleteDBCluster", f"arn:aws:rds:{HERE}:cluster:{other.platform}"),
        ("rds:DeleteDBInstance", f"arn:aws:rds:{HERE}:db:{other.platform}-1"),
        ("kms:ScheduleKeyDeletion", KEY),
        ("kms:Decrypt", KEY),
        ("ec2:DeleteVpc", f"arn:aws:ec2:{HERE}:vpc/vpc-1"),
        ("ec2:AuthorizeSecurityGroupIngress", f"arn:aws:ec2:{HERE}:security-group/sg-1"),
        ("backup:DeleteBackupVault", f"arn:aws:backup:{HERE}:backup-vault:{other.name('vault')}"),
        ("backup:DeleteBackupPlan", f"arn:aws:backup:{HERE}:backup-plan:1"),
        ("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{HERE}:alarm:{other.name('alarm', 'x')}"),
        ("sns:DeleteTopic", f"arn:aws:sns:{HERE}:{other.name('topic', 'alarms')}"),
        ("logs:DeleteLogGroup", f"arn:aws:logs:{HERE}:log-group:{other.log_group('flow-logs')}"),
        (
            "logs:DeleteLogGroup",
            f"arn:aws:logs:{HERE}:log-group:/aws/rds/cluster/{other.platform}/audit",
        ),
        (
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:{HERE}:secret:{other.platform}/database/trade_app-1",
        ),
        ("iam:DeleteRole", f"{iam}:role/{other.name('role', 'backup')}"),
        ("iam:CreatePolicyVersion", f"{iam}:policy/{other.name('policy', BOUNDARY)}"),
        ("ssm:PutParameter", f"arn:aws:ssm:{HERE}:parameter/trading-platform/{environment}/v1/x"),
    ]
    for action, resource in attempts:
        decision = decide(action, resource, *platform_team(), context=tags)
        assert decision == "explicitDeny", (action, resource)
    theirs = f"arn:aws:rds:{HERE}:cluster:{other.platform}"
    rotated = {"aws:ResourceTag/aws:rds:primaryDBClusterArn": theirs}
    secret = f"arn:aws:secretsmanager:{HERE}:secret:rds!cluster-1"
    decision = decide("secretsmanager:RotateSecret", secret, *platform_team(), context=rotated)
    assert decision == "explicitDeny"
    # Both use the same table of locks.
    for verb in ("DeleteItem", "PutItem"):
        lock = {
            "dynamodb:LeadingKeys": f"{STATE_BUCKET[13:]}/{other.platform}/terraform.tfstate-md5"
        }
        decision = decide(f"dynamodb:{verb}", LOCKS, *platform_team(), context=lock)
        assert decision == "implicitDeny"
    # These have no tags that IAM looks at: their names alone must do.
    for action, resource in (
        (
            "cloudwatch:DeleteDashboards",
            f"arn:aws:cloudwatch::123456789012:dashboard/{other.name('dashboard')}",
        ),
        ("s3:DeleteBucket", other.bucket("data")),
        ("s3:PutObject", f"{STATE_BUCKET}/{other.platform}/terraform.tfstate"),
        # AWS makes one with each VPC.
        ("ec2:CreateNetworkAclEntry", f"arn:aws:ec2:{HERE}:network-acl/acl-1"),
        ("ec2:ReplaceNetworkAclEntry", f"arn:aws:ec2:{HERE}:network-acl/acl-1"),
    ):
        assert decide(action, resource, *platform_team()) == "implicitDeny", resource


def test_backups_of_other_teams_are_out_of_the_platform_teams_reach(decide: Decide) -> None:
    plan = f"arn:aws:backup:{HERE}:backup-plan:1"
    snapshot = f"arn:aws:rds:{HERE}:cluster-snapshot:awsbackup:job-1"
    own = {"aws:ResourceTag/Project": "trading-platform"}
    tag = {"aws:RequestTag/Project": "trading-platform"}
    assert decide("backup:CreateBackupPlan", plan, *platform_team(), context=tag) == "allowed"
    for action, resource in (
        ("backup:DeleteBackupPlan", plan),
        ("backup:UpdateBackupPlan", plan),
        ("backup:DeleteRecoveryPoint", snapshot),
    ):
        assert decide(action, resource, *platform_team(), context=own) == "allowed"
        for theirs in ({}, {"aws:ResourceTag/Project": "payroll"}):
            for context in (theirs, {**theirs, **tag}):
                decision = decide(action, resource, *platform_team(), context=context)
                assert decision == "implicitDeny"
    theirs = {"aws:ResourceTag/Project": "payroll", **tag}
    assert decide("backup:TagResource", plan, *platform_team(), context=theirs) == "implicitDeny"
    # As the threat model says: a plan without the tag looks like a new one. Its backups do not.
    assert decide("backup:TagResource", plan, *platform_team(), context=tag) == "allowed"
    assert decide("backup:TagResource", snapshot, *platform_team(), context=tag) == "implicitDeny"


@pytest.mark.parametrize(
    "action", ["TagResource", "UntagResource", "CreateAlias", "PutKeyPolicy", "RevokeGrant"]
)
@pytest.mark.parametrize("region", REGION_CODES)
def test_no_platform_team_can_lock_others_out_of_the_key_of_all_states(
    decide: Decide, action: str, region: str
) -> None:
    """It makes keys in each region, for global databases and copies of backups."""
    context = {
        "kms:ResourceAliases": f"alias/trading-platform-state-{REGION_CODES[region]}",
        "aws:ResourceTag/Project": "trading-platform",
        "aws:RequestTag/Environment": "dev",
    }
    key = f"arn:aws:kms:{region}:{HERE.partition(':')[2]}:key/1"
    assert decide(f"kms:{action}", key, *platform_team(), context=context) == "explicitDeny"
    assert decide("kms:Decrypt", key, *platform_team(), context=context) == "allowed"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", f"{PLACE.bucket('data')}/trades/1"),
        ("s3:GetObjectVersion", f"{PLACE.bucket('data')}/trades/1"),
        ("s3:PutObject", f"{PLACE.bucket('data')}/trades/1"),
        ("s3:PutObject", f"{PLACE.bucket('code')}/{SERVICE}/releases/1"),
        (
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:{HERE}:secret:{PLACE.platform}/database/trade_app-1",
        ),
        (
            "secretsmanager:PutSecretValue",
            f"arn:aws:secretsmanager:{HERE}:secret:{PLACE.platform}/database/trade_app-1",
        ),
        # It would let somebody else read the value.
        (
            "secretsmanager:PutResourcePolicy",
            f"arn:aws:secretsmanager:{HERE}:secret:{PLACE.platform}/database/trade_app-1",
        ),
        (
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:{HERE}:secret:{PLACE.global_name}/database/trade_app-1",
        ),
    ],
)
def test_what_is_in_buckets_and_secrets_is_out_of_the_platform_teams_reach(
    decide: Decide, action: str, resource: str
) -> None:
    tags = {
        "aws:ResourceTag/Project": "trading-platform",
        "aws:ResourceTag/Environment": "dev",
    }
    assert decide(action, resource, *platform_team(), context=tags) == "explicitDeny"


def test_the_platform_team_can_take_over_no_key_by_tagging_it(decide: Decide) -> None:
    request = {"aws:RequestTag/Project": "trading-platform"}
    for existing in ({"aws:ResourceTag/Project": "payroll"}, FOREIGN_KEY):
        context = {**request, **existing}
        assert decide("kms:TagResource", KEY, *platform_team(), context=context) == "implicitDeny"
    assert decide("kms:TagResource", KEY, *platform_team(), context=request) == "allowed"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("CreateSecret", "allowed"),
        ("RotateSecret", "allowed"),
        ("TagResource", "allowed"),
        ("GetSecretValue", "implicitDeny"),
        ("PutSecretValue", "implicitDeny"),
        ("DeleteSecret", "implicitDeny"),
        ("PutResourcePolicy", "implicitDeny"),
    ],
)
def test_the_platform_team_can_let_rds_rotate_a_master_password_and_not_read_it(
    decide: Decide, action: str, expected: str
) -> None:
    secret = f"arn:aws:secretsmanager:{HERE}:secret:rds!cluster-1"
    assert decide(f"secretsmanager:{action}", secret, *platform_team()) == expected


def test_a_role_of_a_service_reads_the_master_secret_of_its_own_database_alone(
    decide: Decide,
) -> None:
    secret = f"arn:aws:secretsmanager:{HERE}:secret:rds!cluster-own-x"
    boundary = service_boundary(PLACE, master_secret=secret)
    for resource, expected in ((secret, "allowed"), (secret.replace("own", "o"), "implicitDeny")):
        decision = decide(
            "secretsmanager:GetSecretValue",
            resource,
            ADMINISTRATOR,
            boundary=boundary,
            context=IN_A_FUNCTION,
        )
        assert decision == expected


def test_a_role_of_a_service_connects_to_its_own_database_alone(decide: Decide) -> None:
    """The databases of all environments have a user of this name."""
    boundary = service_boundary(PLACE, database="cluster-1")
    for database, expected in (("cluster-1", "allowed"), ("cluster-12", "implicitDeny")):
        user = f"arn:aws:rds-db:{HERE}:dbuser:{database}/trade_app"
        decision = decide(
            "rds-db:connect", user, ADMINISTRATOR, boundary=boundary, context=IN_A_FUNCTION
        )
        assert decision == expected


def test_no_function_of_a_service_gets_into_another_vpc(decide: Decide) -> None:
    own = f"arn:aws:ec2:{HERE}:vpc/vpc-1"
    boundary = service_boundary(PLACE, vpc=own)
    for action in (
        "CreateNetworkInterface",
        # Nor anybody whom a role is made to trust.
        "DeleteNetworkInterface",
        "AssignPrivateIpAddresses",
        "UnassignPrivateIpAddresses",
    ):
        for context, expected in (
            ({"ec2:Vpc": own}, "allowed"),
            ({"ec2:Vpc": f"{own}2"}, "explicitDeny"),
            # Lambda asks about some of the resources without this key.
            ({}, "allowed"),
        ):
            decision = decide(
                f"ec2:{action}", "*", ADMINISTRATOR, boundary=boundary, context=context
            )
            assert decision == expected, action


def test_every_log_group_of_the_template_is_within_reach(decide: Decide) -> None:
    for made, name in ((stack(), SERVICE), (stack(ServiceStage="pr-42"), PREVIEW)):
        groups = made.of_type("AWS::Logs::LogGroup").values()
        assert groups
        for group in groups:
            written = group["Properties"]["LogGroupName"]["Fn::Sub"]
            found = written.replace("${AWS::StackName}", name)
            arn = f"arn:aws:logs:{HERE}:log-group:{found}"
            assert decide("logs:CreateLogGroup", arn, *app_team()) == "allowed", found
            # API Gateway writes the access log with a role of its own.
            expected = "allowed" if found.startswith("/aws/lambda/") else "implicitDeny"
            lines = f"{arn}:log-stream:1"
            boundary = service_boundary(PLACE)
            assert decide("logs:PutLogEvents", lines, boundary) == expected, found


def test_no_name_of_a_stream_leads_into_the_log_group_of_another_service(decide: Decide) -> None:
    """Whoever makes a stream chooses its name, which may look like one of their log groups."""
    action, boundary = "logs:CreateLogStream", service_boundary(PLACE)
    previewer = [*app_team(), preview_limits(PLACE)]
    for group in (
        f"/aws/lambda/{SERVICE}/trade",
        "/aws/lambda/trading-platform-service-useast1-production/trade",
        f"/aws/rds/cluster/{PLACE.platform}/audit",
        "/aws/lambda/payroll",
    ):
        for name in (SERVICE, PREVIEW):
            stream = f"arn:aws:logs:{HERE}:log-group:{group}:log-stream:/aws/lambda/{name}/1"
            assert decide(action, stream, *previewer) == "explicitDeny"
            preview = {"aws:PrincipalArn": f"{ROLES}/{PREVIEW}/trading-platform-service-Role-1"}
            decision = decide(action, stream, ADMINISTRATOR, boundary=boundary, context=preview)
            assert decision != "allowed"
            if SERVICE not in group:
                assert decide(action, stream, *app_team()) == "implicitDeny"
                decision = decide(action, stream, ADMINISTRATOR, boundary=boundary)
                assert decision == "implicitDeny"


def test_the_tags_of_other_apis_are_out_of_the_app_teams_reach(decide: Decide) -> None:
    tags = "arn:aws:apigateway:us-east-1::/tags/arn%3Aaws%3Aapigateway%3A%3A%2Frestapis%2Fpayroll"
    for action in ("apigateway:PUT", "apigateway:DELETE"):
        for key, expected in (
            ("Owner", "implicitDeny"),
            ("aws:cloudformation:stack-id", "allowed"),
        ):
            context = {"aws:TagKeys": key}
            assert decide(action, tags, *app_team(), context=context) == expected


def test_the_app_teams_alarms_act_on_nothing_of_other_teams(decide: Decide) -> None:
    def asked(action: str) -> str:
        context = {"cloudwatch:AlarmActions": action}
        return decide("cloudwatch:PutMetricAlarm", ALARM, *app_team(), context=context)

    topic = f"arn:aws:sns:{HERE}:trading-platform-alarms-useast1"
    assert asked(f"{topic}-dev") == "allowed"
    assert asked(f"{topic}-production") == "implicitDeny"
    assert asked(f"arn:aws:sns:{HERE}:payroll") == "implicitDeny"
    assert asked("arn:aws:automate:us-east-1:ec2:terminate") == "implicitDeny"
    assert asked(f"arn:aws:autoscaling:{HERE}:scalingPolicy:1:payroll") == "implicitDeny"


def test_every_role_of_the_service_has_the_boundary() -> None:
    for made in (stack(), preview_stack()):
        for name, role in made.of_type("AWS::IAM::Role").items():
            boundary = role["Properties"].get("PermissionsBoundary")
            assert boundary == {"Ref": "ServiceBoundaryArn"}, name


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{HERE}:secret:rds!cluster-1"),
        (
            "secretsmanager:PutSecretValue",
            f"arn:aws:secretsmanager:{HERE}:secret:{PLACE.platform}/database/trade_app-1",
        ),
        ("s3:GetObject", f"{PLACE.bucket('data')}/trades/1"),
        ("s3:ListBucket", PLACE.bucket("data")),
        ("s3:DeleteObjectVersion", f"{PLACE.bucket('data')}/previews/pr-42/1"),
        ("rds-db:connect", f"arn:aws:rds-db:{HERE}:dbuser:cluster-1/trade_app"),
    ],
)
def test_only_code_of_the_services_functions_reaches_secrets_and_data(
    decide: Decide, action: str, resource: str
) -> None:
    boundary = service_boundary(PLACE)

    def asked(context: Mapping[str, str]) -> str:
        return decide(action, resource, ADMINISTRATOR, boundary=boundary, context=context)

    assert asked(IN_A_FUNCTION) == "allowed"
    # Whoever else a role has been made to trust.
    assert asked({}) == "explicitDeny"
    other = FUNCTION.replace(SERVICE, "payroll")
    assert asked({"lambda:SourceFunctionArn": other}) == "explicitDeny"


def test_the_last_lines_of_a_deleted_function_do_not_create_its_log_group_again(
    decide: Decide,
) -> None:
    boundary = service_boundary(PLACE)
    group = f"arn:aws:logs:{HERE}:log-group:/aws/lambda/{SERVICE}/migration"
    for action, expected in (
        ("logs:CreateLogGroup", "implicitDeny"),
        ("logs:CreateLogStream", "allowed"),
        ("logs:PutLogEvents", "allowed"),
    ):
        decision = decide(action, group, ADMINISTRATOR, boundary=boundary, context=IN_A_FUNCTION)
        assert decision == expected


# What a deploy of each type of resource does with the deployer's own rights, as CloudFormation
# acts for its caller. A type that is not here is one that nobody has thought of yet.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
API = "arn:aws:apigateway:us-east-1::/restapis/abc"
DEPLOYS: Mapping[str, list[tuple[str, str]]] = {
    "AWS::ApiGateway::Deployment": [("POST", f"{API}/deployments")],
    "AWS::ApiGateway::RestApi": [
        ("POST", "arn:aws:apigateway:us-east-1::/restapis"),
        ("PUT", "arn:aws:apigateway:us-east-1::/tags/arn%3Aaws%3Aapigateway%3A%3A%2Frestapis"),
        ("PUT", API),
        ("UpdateRestApiPolicy", API),
    ],
    "AWS::ApiGateway::Stage": [("POST", f"{API}/stages"), ("SetWebACL", f"{API}/stages/dev")],
    "AWS::ApiGateway::UsagePlan": [("POST", "arn:aws:apigateway:us-east-1::/usageplans")],
    "AWS::CloudWatch::Alarm": [
        ("PutMetricAlarm", f"arn:aws:cloudwatch:{HERE}:alarm:{SERVICE}-LogicalName-1")
    ],
    "AWS::CloudWatch::Dashboard": [
        ("PutDashboard", f"arn:aws:cloudwatch::123456789012:dashboard/{SERVICE}")
    ],
    "AWS::CodeDeploy::Application": [
        ("CreateApplication", f"arn:aws:codedeploy:{HERE}:application:{SERVICE}-LogicalName-1")
    ],
    "AWS::CodeDeploy::DeploymentGroup": [
        ("CreateDeploymentGroup", GROUP),
        ("CreateDeployment", GROUP),
        ("GetDeploymentConfig", f"arn:aws:codedeploy:{HERE}:deploymentconfig:AllAtOnce"),
        ("StopDeployment", "*"),
    ],
    "AWS::IAM::Role": [
        (name, ROLE)
        for name in (
            "CreateRole",
            "AttachRolePolicy",
            "PutRolePermissionsBoundary",
            "PutRolePolicy",
            "UpdateRoleDescription",
            "DeleteRolePolicy",
            "DetachRolePolicy",
            "DeleteRole",
        )
    ],
    "AWS::Lambda::Alias": [("CreateAlias", FUNCTION), ("UpdateAlias", FUNCTION)],
    "AWS::Lambda::EventInvokeConfig": [("PutFunctionEventInvokeConfig", FUNCTION)],
    "AWS::Lambda::Function": [
        ("CreateFunction", FUNCTION),
        ("CreateFunction", f"arn:aws:lambda:{HERE}:function:CodeDeployHook_trade_dev"),
        ("PutFunctionConcurrency", FUNCTION),
    ],
    "AWS::Lambda::LayerVersion": [
        ("PublishLayerVersion", f"arn:aws:lambda:{HERE}:layer:{SERVICE}-dependencies")
    ],
    "AWS::Lambda::Permission": [("AddPermission", FUNCTION)],
    "AWS::SecretsManager::Secret": [
        (name, f"arn:aws:secretsmanager:{HERE}:secret:{PREVIEW}/database-1")
        for name in (
            "CreateSecret",
            "DescribeSecret",
            "TagResource",
            "UpdateSecret",
            "DeleteSecret",
        )
    ],
    "AWS::Lambda::Version": [("PublishVersion", FUNCTION)],
    "AWS::Logs::LogGroup": [
        ("CreateLogGroup", f"arn:aws:logs:{HERE}:log-group:/aws/apigateway/{SERVICE}/access"),
        ("AssociateKmsKey", f"arn:aws:logs:{HERE}:log-group:/aws/lambda/{SERVICE}/trade"),
    ],
    "AWS::SQS::Queue": [("CreateQueue", QUEUE), ("DeleteQueue", QUEUE)],
    "AWS::Scheduler::Schedule": [
        ("CreateSchedule", f"arn:aws:scheduler:{HERE}:schedule/default/{SERVICE}-archive")
    ],
    "AWS::WAFv2::WebACLAssociation": [
        ("AssociateWebACL", f"arn:aws:wafv2:{HERE}:regional/webacl/x/1"),
        ("AssociateWebACL", f"{API}/stages/dev"),
    ],
    "Custom::DatabaseMigration": [("InvokeFunction", f"{FUNCTION}:live")],
}


def test_the_service_deployer_can_create_each_resource_of_the_template(decide: Decide) -> None:
    made = [*stack().resources.items(), *preview_stack().resources.items()]
    for logical, type_ in {(logical, resource["Type"]) for logical, resource in made}:
        for name, named in DEPLOYS[type_]:
            service = "lambda" if type_.startswith("Custom") else type_.split("::")[1].lower()
            action, resource = f"{service}:{name}", named.replace("LogicalName", logical)
            context = {**BOUNDED, STACK: SERVICE}
            decision = decide(action, resource, *app_team(), context=context)
            assert decision == "allowed", (action, resource)


def test_lambda_may_attach_a_function_to_the_vpc_but_its_code_may_not(decide: Decide) -> None:
    boundary = service_boundary(PLACE)
    assert decide("ec2:CreateNetworkInterface", "*", boundary) == "allowed"
    as_code = {"lambda:SourceFunctionArn": FUNCTION}
    assert decide("ec2:CreateNetworkInterface", "*", boundary, context=as_code) == "explicitDeny"


@pytest.mark.parametrize(
    ("action", "resource", "context", "expected"),
    [
        ("ec2:CreateVpc", "*", {}, "allowed"),
        ("ec2:RunInstances", "*", {}, "implicitDeny"),
        # What is asked for before a plan.
        *(
            (action, "*", {}, "allowed")
            for action in (
                "backup:DescribeRegionSettings",
                "ec2:DescribeAvailabilityZones",
                "kms:ListAliases",
                "rds:DescribeDBClusters",
            )
        ),
        ("apigateway:GET", "arn:aws:apigateway:us-east-1::/account", {}, "allowed"),
        ("apigateway:PATCH", "arn:aws:apigateway:us-east-1::/account", {}, "implicitDeny"),
        ("s3:ListBucket", STATE_BUCKET, {}, "allowed"),
        ("dynamodb:DescribeTable", LOCKS, {}, "allowed"),
        ("s3:PutBucketPolicy", PLACE.bucket("data"), {}, "allowed"),
        # A destroy that leaves a snapshot keeps its key.
        *(
            (f"kms:{verb}", KEY, {"aws:ResourceTag/Project": "trading-platform"}, "allowed")
            for verb in ("ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKey")
        ),
        *(
            ("kms:CreateAlias", f"arn:aws:kms:{region}:123456789012:alias/{name}", {}, "allowed")
            for region, name in (
                ("us-east-1", "trading-us-east-1-dev"),
                # Of a global database, and of the copies of backups.
                ("us-west-2", "trading-us-west-2-dev"),
                ("us-west-2", "trading-copy-us-east-1-dev"),
            )
        ),
        *(
            (
                "iam:CreateServiceLinkedRole",
                "arn:aws:iam::123456789012:role/aws-service-role/x/y",
                {"iam:AWSServiceName": f"{service}.amazonaws.com"},
                expected,
            )
            for service, expected in (
                ("backup", "allowed"),
                ("rds", "allowed"),
                ("ecs", "implicitDeny"),
            )
        ),
        (
            "rds:CreateDBCluster",
            f"arn:aws:rds:{HERE}:cluster:trading-platform-useast1-dev",
            {},
            "allowed",
        ),
        ("rds:DeleteDBCluster", f"arn:aws:rds:{HERE}:cluster:payroll", {}, "implicitDeny"),
        # An instance names the cluster, a parameter group and an option group.
        *(
            ("rds:CreateDBInstance", f"arn:aws:rds:{HERE}:{resource}", {}, expected)
            for resource, expected in (
                ("db:trading-platform-useast1-dev-1", "allowed"),
                ("cluster:trading-platform-useast1-dev", "allowed"),
                ("pg:trading-platform-useast1-dev", "allowed"),
                ("pg:default.aurora-mysql8.0", "allowed"),
                ("og:default:aurora-mysql-8-0", "allowed"),
                ("pg:payroll", "implicitDeny"),
                ("og:payroll", "implicitDeny"),
            )
        ),
        # A destroy empties the vaults, here and where the copies are.
        *(
            (
                "backup:DeleteRecoveryPoint",
                f"arn:aws:rds:{region}:123456789012:cluster-snapshot:{snapshot}",
                {"aws:ResourceTag/Project": "trading-platform"},
                expected,
            )
            for region in ("us-east-1", "us-west-2")
            for snapshot, expected in (
                ("awsbackup:job-1", "allowed"),
                ("payroll", "implicitDeny"),
            )
        ),
        (
            "logs:CreateLogGroup",
            f"arn:aws:logs:{HERE}:log-group:/aws/rds/proxy/trading-platform-useast1-dev",
            {},
            "allowed",
        ),
        ("kms:CreateKey", "*", {"aws:RequestTag/Project": "trading-platform"}, "allowed"),
        ("kms:ScheduleKeyDeletion", KEY, {"aws:ResourceTag/Project": "payroll"}, "implicitDeny"),
        (
            "kms:ScheduleKeyDeletion",
            KEY,
            {
                "aws:ResourceTag/Project": "trading-platform",
                "kms:ResourceAliases": "alias/trading-platform-state-useast1",
            },
            "explicitDeny",
        ),
        (
            "s3:PutObject",
            f"{STATE_BUCKET}/trading-platform-useast1-dev/terraform.tfstate",
            {},
            "allowed",
        ),
        (
            "s3:PutObject",
            f"{STATE_BUCKET}/env:/blue/trading-platform-useast1-dev/terraform.tfstate",
            {},
            "allowed",
        ),
        (
            "s3:GetObject",
            f"{STATE_BUCKET}/trading-platform-useast1-prod/terraform.tfstate",
            {},
            "implicitDeny",
        ),
        (
            "dynamodb:PutItem",
            LOCKS,
            {
                "dynamodb:LeadingKeys": "trading-platform-state-123456789012-useast1/"
                "trading-platform-useast1-dev/terraform.tfstate-md5"
            },
            "allowed",
        ),
        ("dynamodb:DeleteTable", LOCKS, {}, "implicitDeny"),
        ("s3:DeleteBucket", STATE_BUCKET, {}, "implicitDeny"),
        (
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/trading-platform-x",
            {"iam:PassedToService": "lambda.amazonaws.com"},
            "explicitDeny",
        ),
        (
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/trading-platform-x-useast1-dev",
            {"iam:PassedToService": "vpc-flow-logs.amazonaws.com"},
            "allowed",
        ),
        (
            "iam:AttachRolePolicy",
            "arn:aws:iam::123456789012:role/trading-platform-x-useast1-dev",
            {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"},
            "explicitDeny",
        ),
        ("sts:AssumeRole", "arn:aws:iam::123456789012:role/trading-platform-x", {}, "explicitDeny"),
        (
            "iam:CreatePolicyVersion",
            "arn:aws:iam::123456789012:policy/trading-platform-infra-deployer-useast1-dev",
            {},
            "explicitDeny",
        ),
        ("lambda:CreateFunction", FUNCTION, {}, "implicitDeny"),
    ],
)
def test_the_infra_deployer_has_the_platform_and_nothing_else(
    decide: Decide, action: str, resource: str, context: dict[str, str], expected: str
) -> None:
    assert decide(action, resource, *platform_team(), context=context) == expected


PIPELINE_ROLE = "arn:aws:iam::123456789012:role/pipelines/trading-platform-dev-infra-deployer"
PIPELINE_POLICY = (
    "arn:aws:iam::123456789012:policy/pipelines/"
    "trading-platform-pipeline-infra-deployer-useast1-dev"
)


@pytest.mark.parametrize("team", [platform_team, app_team])
@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:AttachRolePolicy", PIPELINE_ROLE),
        ("iam:CreateRole", PIPELINE_ROLE),
        ("iam:DeleteRolePermissionsBoundary", PIPELINE_ROLE),
        ("iam:PutRolePolicy", PIPELINE_ROLE),
        ("iam:UpdateAssumeRolePolicy", PIPELINE_ROLE),
        ("iam:CreatePolicyVersion", PIPELINE_POLICY),
        (
            "iam:UpdateOpenIDConnectProviderThumbprint",
            "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",
        ),
    ],
)
def test_no_deployer_can_change_a_pipelines_role_or_its_policies(
    decide: Decide, team: Callable[[], list[Document]], action: str, resource: str
) -> None:
    context = {**BOUNDED, "iam:PolicyARN": PIPELINE_POLICY}
    assert decide(action, resource, *team(), context=context) != "allowed"


OWN_LOCK = {
    "dynamodb:LeadingKeys": "trading-platform-state-123456789012-useast1/"
    "trading-platform-useast1-dev/terraform.tfstate-md5"
}
STATE_KEY = {"kms:ResourceAliases": "alias/trading-platform-state-useast1"}
STATE = f"{STATE_BUCKET}/trading-platform-useast1-dev/terraform.tfstate"


@pytest.mark.parametrize(
    ("action", "resource", "context", "expected"),
    [
        ("s3:GetObject", STATE, {}, "allowed"),
        ("kms:Decrypt", KEY, STATE_KEY, "allowed"),
        ("ec2:DescribeVpcs", "*", {}, "allowed"),
        ("iam:GetRolePolicy", ROLE, {}, "allowed"),
        ("s3:ListBucket", STATE_BUCKET, {}, "allowed"),
        ("dynamodb:GetItem", LOCKS, OWN_LOCK, "allowed"),
        ("lambda:GetAlias", FUNCTION, {}, "allowed"),
        # No change, not even a lock or the state's checksum.
        ("s3:PutObject", STATE, {}, "implicitDeny"),
        ("s3:PutObject", f"{STATE}.tflock", {}, "implicitDeny"),
        (
            "dynamodb:PutItem",
            f"arn:aws:dynamodb:{HERE}:table/trading-platform-state-locks-useast1",
            {},
            "implicitDeny",
        ),
        ("ec2:CreateVpc", "*", {}, "implicitDeny"),
        ("iam:PutRolePolicy", ROLE, {}, "implicitDeny"),
        # No trade and no secret.
        ("s3:GetObject", f"{PLACE.bucket('data')}/trades/1", {}, "implicitDeny"),
        ("kms:Decrypt", KEY, OWN_KEY, "implicitDeny"),
        (
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:{HERE}:secret:rds!cluster-1",
            {},
            "implicitDeny",
        ),
        ("lambda:GetFunction", FUNCTION, {}, "implicitDeny"),
        ("lambda:InvokeFunction", FUNCTION, {}, "implicitDeny"),
        # No other environment's state.
        ("s3:GetObject", STATE.replace("-dev/", "-prod/"), {}, "implicitDeny"),
        # Not what other teams start instances with, have in templates, or have in lines of logs.
        ("ec2:DescribeInstanceAttribute", "*", {}, "implicitDeny"),
        ("ec2:DescribeLaunchTemplateVersions", "*", {}, "implicitDeny"),
        (
            "cloudformation:GetTemplate",
            f"arn:aws:cloudformation:{HERE}:stack/payroll/1",
            {},
            "implicitDeny",
        ),
        (
            "cloudformation:GetTemplate",
            f"arn:aws:cloudformation:{HERE}:stack/{SERVICE}/1",
            {},
            "allowed",
        ),
        ("logs:ListAnomalies", "*", {}, "implicitDeny"),
        # Nor where other teams' messages go.
        ("sns:ListSubscriptions", "*", {}, "implicitDeny"),
        ("sns:ListSubscriptionsByTopic", f"arn:aws:sns:{HERE}:payroll", {}, "implicitDeny"),
        ("sns:GetTopicAttributes", f"arn:aws:sns:{HERE}:payroll", {}, "implicitDeny"),
        (
            "sns:GetTopicAttributes",
            f"arn:aws:sns:{HERE}:trading-platform-alarms-useast1-dev",
            {},
            "allowed",
        ),
    ],
)
def test_a_planner_reads_what_a_plan_needs_and_changes_nothing(
    decide: Decide, action: str, resource: str, context: dict[str, str], expected: str
) -> None:
    assert decide(action, resource, planner(PLACE), context=context) == expected


OWN_FUNCTION = (FUNCTION, {STACK: SERVICE})
OWN_HOOK = (f"arn:aws:lambda:{HERE}:function:CodeDeployHook_trade_dev", {STACK: SERVICE})
# Before the first release, no stack has it.
NO_HOOK_YET = (OWN_HOOK[0], {})
OWN_API = (API, {STACK: SERVICE})
OWN_STAGE = (f"{API}/stages/dev", {STACK: SERVICE})
OWN_LOGS = (f"arn:aws:logs:{HERE}:log-group:/aws/lambda/{SERVICE}/trade", {STACK: SERVICE})
OWN_ACCESS_LOGS = (
    f"arn:aws:logs:{HERE}:log-group:/aws/apigateway/{SERVICE}/access",
    {STACK: SERVICE},
)
OWN_PACKAGE = (f"{PLACE.bucket('code')}/{SERVICE}/releases/1", {})
OWN_STACK = (f"arn:aws:cloudformation:{HERE}:stack/{SERVICE}/1", {})
OWN_ALARM = (ALARM, {})
OWN_DASHBOARD = (f"arn:aws:cloudwatch::123456789012:dashboard/{SERVICE}", {})
OWN_SCHEDULE = (SCHEDULE, {})
OWN_ROLE = (ROLE, {**BOUNDED, "iam:PassedToService": "lambda.amazonaws.com"})
OWN_LAYER = (f"arn:aws:lambda:{HERE}:layer:{SERVICE}-dependencies:1", {})
OWN_QUEUE = (QUEUE, {})
OWN_DEPLOYMENTS = (GROUP, {})
ATTEMPTS: Mapping[str, list[tuple[str, Mapping[str, str]]]] = {
    **{
        f"lambda:{verb}": [OWN_FUNCTION, OWN_HOOK]
        for verb in (
            "AddPermission",
            "CreateAlias",
            "DeleteAlias",
            "DeleteFunction",
            "DeleteFunctionConcurrency",
            "InvokeFunction",
            "PublishVersion",
            "PutFunctionConcurrency",
            "PutFunctionEventInvokeConfig",
            "RemovePermission",
            "UpdateAlias",
            "UpdateFunctionCode",
            "UpdateFunctionConfiguration",
        )
    },
    "lambda:CreateFunction": [NO_HOOK_YET],
    "apigateway:DELETE": [OWN_API, OWN_STAGE],
    "apigateway:PATCH": [OWN_API, OWN_STAGE],
    "apigateway:PUT": [OWN_API],
    "apigateway:POST": [(f"{API}/deployments", {STACK: SERVICE})],
    "apigateway:SetWebACL": [OWN_STAGE],
    "apigateway:UpdateRestApiPolicy": [OWN_API],
    "logs:DeleteLogGroup": [OWN_LOGS, OWN_ACCESS_LOGS],
    "logs:DeleteLogStream": [OWN_LOGS, OWN_ACCESS_LOGS],
    "logs:PutLogEvents": [OWN_LOGS, OWN_ACCESS_LOGS],
    "logs:PutRetentionPolicy": [OWN_LOGS, OWN_ACCESS_LOGS],
    "logs:PutSubscriptionFilter": [OWN_LOGS, OWN_ACCESS_LOGS],
    "logs:DisassociateKmsKey": [OWN_LOGS, OWN_ACCESS_LOGS],
    "logs:IntegrateWithS3Table": [OWN_LOGS, OWN_ACCESS_LOGS],
    "iam:AttachRolePolicy": [OWN_ROLE],
    "iam:DeleteRole": [OWN_ROLE],
    "iam:PassRole": [OWN_ROLE],
    "iam:PutRolePolicy": [OWN_ROLE],
    "lambda:DeleteLayerVersion": [OWN_LAYER],
    "sqs:DeleteQueue": [OWN_QUEUE],
    "sqs:PurgeQueue": [OWN_QUEUE],
    "s3:PutObject": [OWN_PACKAGE],
    "s3:DeleteObject": [OWN_PACKAGE],
    "cloudformation:CreateChangeSet": [OWN_STACK],
    "cloudformation:DeleteStack": [OWN_STACK],
    "cloudformation:ExecuteChangeSet": [OWN_STACK],
    "cloudformation:RollbackStack": [OWN_STACK],
    "cloudformation:SetStackPolicy": [OWN_STACK],
    "cloudformation:SignalResource": [OWN_STACK],
    "cloudformation:TagResource": [OWN_STACK],
    "cloudformation:UpdateStack": [OWN_STACK],
    "cloudwatch:DeleteAlarms": [OWN_ALARM],
    "cloudwatch:DisableAlarmActions": [OWN_ALARM],
    "cloudwatch:PutMetricAlarm": [OWN_ALARM],
    "cloudwatch:SetAlarmState": [OWN_ALARM],
    "cloudwatch:DeleteDashboards": [OWN_DASHBOARD],
    "cloudwatch:PutDashboard": [OWN_DASHBOARD],
    "scheduler:DeleteSchedule": [OWN_SCHEDULE],
    "scheduler:UpdateSchedule": [OWN_SCHEDULE],
    "codedeploy:CreateDeployment": [OWN_DEPLOYMENTS],
    "codedeploy:DeleteDeploymentGroup": [OWN_DEPLOYMENTS],
    "codedeploy:UpdateDeploymentGroup": [OWN_DEPLOYMENTS],
    # They have no resource, so that only a denial of all of them helps.
    "codedeploy:StopDeployment": [("*", {})],
}


def test_a_previewer_cannot_change_the_environments_own_service(decide: Decide) -> None:
    documents = [*app_team(), preview_limits(PLACE)]
    attempts = 0
    for action, targets in ATTEMPTS.items():
        for resource, context in targets:
            assert decide(action, resource, *app_team(), context=context) == "allowed", action
            decision = decide(action, resource, *documents, context=context)
            assert decision == "explicitDeny", (action, resource)
            attempts += 1
    assert attempts >= 50
    own = OWN_STACK[0]
    assert decide("cloudformation:DescribeStacks", own, *documents) == "allowed"


def access_log(name: str) -> str:
    """A log group for access logs, as CloudFormation hands it to API Gateway."""
    return f"arn:aws:logs:{HERE}:log-group:/aws/apigateway/{name}/access:*"


@pytest.mark.parametrize(
    ("name", "of_the_team", "of_previewers"),
    [
        (SERVICE, "allowed", "explicitDeny"),
        (PREVIEW, "allowed", "allowed"),
        ("trading-platform-service-useast1-dev-2", "implicitDeny", "implicitDeny"),
        ("payroll", "implicitDeny", "implicitDeny"),
    ],
)
def test_no_api_writes_its_access_log_among_the_lines_of_another_service(
    decide: Decide, name: str, of_the_team: str, of_previewers: str
) -> None:
    """API Gateway writes it with its own role, so that no policy of log groups counts."""
    key = "apigateway:Request/AccessLoggingDestination"
    context = {STACK: PREVIEW, key: access_log(name)}
    for action, resource in (
        ("apigateway:POST", f"{API}/stages"),
        ("apigateway:PATCH", f"{API}/stages/dev"),
    ):
        assert decide(action, resource, *app_team(), context=context) == of_the_team
        documents = [*app_team(), preview_limits(PLACE)]
        assert decide(action, resource, *documents, context=context) == of_previewers


def test_a_previewer_can_create_each_resource_of_a_preview(decide: Decide) -> None:
    documents = [*app_team(), preview_limits(PLACE)]
    made = preview_stack().resources.items()
    for logical, type_ in {(logical, resource["Type"]) for logical, resource in made}:
        for name, named in DEPLOYS[type_]:
            resource = named.replace("LogicalName", logical)
            service = "lambda" if type_.startswith("Custom") else type_.split("::")[1].lower()
            context = {**BOUNDED, STACK: PREVIEW}
            of_preview = resource if PREVIEW in resource else resource.replace(SERVICE, PREVIEW)
            of_preview = re.sub("_dev(_|$)", r"_dev--pr-42\1", of_preview)
            action = f"{service}:{name}"
            assert decide(action, of_preview, *documents, context=context) == "allowed", action


@pytest.mark.parametrize("region", REGION_CODES)
def test_codedeploys_application_is_within_reach_with_the_longest_names(region: str) -> None:
    place = Place("1" * 12, region, "x" * ENVIRONMENT_SUFFIX_MAX)
    (application,) = stack().of_type("AWS::CodeDeploy::Application")
    name = generated_name(place.service, application, longest=100)
    group = place.arn("codedeploy", f"deploymentgroup:{name}/TradeFunctionDeploymentGroup-1")
    access = Access("codedeploy:CreateDeployment", group)
    assert evaluated(access, app_team(place)) == "allowed"
    assert evaluated(access, [*app_team(place), preview_limits(place)]) == "explicitDeny"
    (reports,) = (
        statement
        for statement in stack().statements("SmokeCheckFunction")
        if str(statement["Action"]).startswith("codedeploy:")
    )
    pattern = reports["Resource"]["Fn::Sub"]
    for reference, value in (
        ("Partition", "aws"),
        ("Region", region),
        ("AccountId", place.account),
        ("StackName", place.service),
    ):
        pattern = pattern.replace(f"${{AWS::{reference}}}", value)
    own = {"Statement": [{**reports, "Resource": pattern}]}
    report = Access(reports["Action"], group, {STACK: place.service})
    assert evaluated(report, [own], service_boundary(place)) == "allowed"


def generated_name(stack_name: str, logical: str, *, longest: int) -> str:
    """The name that CloudFormation gives to a resource that has none of its own.

    It makes one hyphen of several, and keeps 14 characters for the second hyphen and the rest. If
    the stack's name and the logical name do not fit besides, it cuts both.
    https://github.com/aws-cloudformation/cloudformation-cli-java-plugin/blob/master/src/main/java/software/amazon/cloudformation/resource/IdentifierUtils.java
    """
    name = re.sub("-{2,}", "-", stack_name)
    assert len(name) + len(logical) <= longest - 14, "CloudFormation cuts it"
    return f"{name}-{logical}-{'R' * 12}"


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2"])
def test_the_policies_of_two_regions_on_one_role_do_not_deny_each_other(
    decide: Decide, region: str
) -> None:
    both = [
        policy(Place("123456789012", where, "dev"))
        for policy in (service_deployer, service_deployer_access, preview_limits)
        for where in ("us-east-1", "us-west-2")
    ]
    preview = f"trading-platform-service-{REGION_CODES[region]}-dev--pr-42"
    there = f"{region}:123456789012"
    for action, resource in (
        ("secretsmanager:CreateSecret", f"arn:aws:secretsmanager:{there}:secret:{preview}/db-1"),
        ("logs:CreateLogGroup", f"arn:aws:logs:{there}:log-group:/aws/lambda/{preview}/trade"),
    ):
        assert decide(action, resource, *both, region=region) == "allowed", action


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2"])
def test_a_deployer_of_two_regions_can_work_in_each(decide: Decide, region: str) -> None:
    account, code = "123456789012", REGION_CODES[region]
    places = [Place(account, where, "dev") for where in ("us-east-1", "us-west-2")]

    def allowed(policies: Sequence[str], action: str, resource: str, **context: str) -> bool:
        documents = [POLICIES[policy](place) for policy in policies for place in places]
        return decide(action, resource, *documents, context=context, region=region) == "allowed"

    app = ("service-deployer", "service-deployer-access")
    function = f"arn:aws:lambda:{region}:{account}:function:CodeDeployHook_trade_dev"
    assert allowed(
        app, "lambda:InvokeFunction", function, **{STACK: f"trading-platform-service-{code}-dev"}
    )
    platform = ("infra-deployer", "infra-deployer-access")
    names = f"arn:aws:iam::{account}:{{}}/trading-platform-{{}}-{code}-dev"
    assert allowed(
        platform,
        "iam:AttachRolePolicy",
        names.format("role", "monitoring"),
        **{"iam:PolicyARN": names.format("policy", "own")},
    )


# A statement of moderate length. Whoever needs it splits the policy next.
ROOM = 400

_DATABASE = "aws_rds_cluster.database_cluster"
MASTER_SECRET = f"${{try({_DATABASE}.master_user_secret[0].secret_arn, {_DATABASE}.arn)}}"


@pytest.mark.parametrize("region", REGION_CODES)
@pytest.mark.parametrize("role", POLICIES)
def test_every_policy_fits_into_a_managed_policy_with_the_longest_names(
    role: str, region: str
) -> None:
    place = Place("1" * 12, region, "x" * ENVIRONMENT_SUFFIX_MAX)
    text = json.dumps(POLICIES[role](place), separators=(",", ":"))
    # There is room for the next resource.
    assert len(text) <= MAX_CHARACTERS - ROOM
    assert len(place.name("policy", role)) <= 128


def test_the_boundary_that_a_stack_writes_fits_as_well() -> None:
    place = Place("1" * 12, "us-east-1", "x" * ENVIRONMENT_SUFFIX_MAX)
    longest = service_boundary(
        place,
        vpc=f"arn:aws:ec2:{HERE}:vpc/vpc-{'0' * 17}",
        master_secret=f"arn:aws:secretsmanager:{HERE}:secret:rds!cluster-{'0' * 36}-aBcDeF",
        database=f"cluster-{'0' * 26}",
    )
    assert len(json.dumps(longest, separators=(",", ":"))) <= MAX_CHARACTERS


@pytest.mark.parametrize("role", POLICIES)
def test_statements_are_named_once(role: str) -> None:
    statements: Any = POLICIES[role](PLACE)["Statement"]
    names = [statement["Sid"] for statement in statements]
    assert len(set(names)) == len(names)
    assert all(name.isalnum() for name in names)


def test_the_stack_makes_the_boundary_and_the_service_deployers_policies(tmp_path: Path) -> None:
    (stack,) = synthesized(tmp_path, ENVIRONMENT_SUFFIX="dev").values()
    made = stack.resources("aws_iam_policy")
    place = Place("${data.aws_caller_identity.account.account_id}", "us-east-1", "dev")
    own = {
        "vpc": "${aws_vpc.network_vpc.arn}",
        "master_secret": MASTER_SECRET,
        "database": "${aws_rds_cluster.database_cluster.cluster_resource_id}",
    }
    written = {
        # CDKTF ends each name with a digest.
        body["name"]: json.loads(re.sub(r"_[0-9A-F]{8}\b", "", body["policy"]))
        for body in made.values()
    }
    assert written == {
        PLACE.name("policy", BOUNDARY): service_boundary(place, **own),
        PLACE.name("policy", SERVICE_DEPLOYER): service_deployer(place),
        PLACE.name("policy", SERVICE_DEPLOYER_ACCESS): service_deployer_access(place),
    }


def test_the_policies_are_printed_for_the_account_of_the_credentials(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "dev")
    policies_command.main()
    printed = json.loads(capsys.readouterr().out)
    place = Place("000000000000", "us-east-1", "dev")
    assert printed == {place.name("policy", role): make(place) for role, make in POLICIES.items()}
