"""IAM policies of those who deploy, and the boundary of the roles that services may make.

`python -m infra.policies` prints them for the environment and the account of the credentials.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.config import load_environment
from infra.naming import (
    bucket_name,
    global_name,
    key_alias,
    log_group_name,
    resource_name,
    state_bucket_name,
    state_key_alias,
    state_lock_table_name,
)
from shared.errors import exit_code
from shared.naming import PLATFORM, PREVIEW_MARK, REGION_CODES, service_stack_name, stack_name

Document = Mapping[str, object]
Statement = dict[str, object]

# IAM's limit for a managed policy, in characters without white space.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MAX_CHARACTERS = 6144

# CloudFormation cuts a stack's name to 24 characters in the names of roles and functions; the cut
# leaves just this. What tells environments apart there is the permissions boundary.
_SERVICE = f"{PLATFORM}-service"


@dataclass(frozen=True)
class Place:
    """One environment in one region of an account; `account` may be a Terraform expression."""

    account: str
    region: str
    environment: str

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a regional resource of the account."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def iam(self, resource: str) -> str:
        """The ARN of an IAM resource of the account."""
        return f"arn:aws:iam::{self.account}:{resource}"

    def bucket(self, role: str) -> str:
        """The ARN of one of the platform's buckets."""
        name = bucket_name(self.region, self.environment, role, self.account)
        return f"arn:aws:s3:::{name}"

    @property
    def platform(self) -> str:
        """The data platform's stack, whose name its resources have."""
        return stack_name(self.region, self.environment)

    @property
    def service(self) -> str:
        """The service's stack."""
        return service_stack_name(self.region, self.environment)

    @property
    def previews(self) -> str:
        """What the stacks of the environment's previews, and nothing else, are called like."""
        return service_stack_name(self.region, self.environment, "*")

    def policy_name(self, role: str) -> str:
        """The name of one of the policies of this module."""
        return resource_name("policy", self.region, self.environment, role)

    @property
    def boundary(self) -> str:
        """The ARN of the boundary that every role of a service has."""
        return self.iam(f"policy/{self.policy_name(BOUNDARY)}")


API_GATEWAY_LOGS = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
BOUNDARY = "service-boundary"
SERVICE_DEPLOYER = "service-deployer"
INFRA_DEPLOYER = "infra-deployer"
PLANNER = "planner"
PREVIEW_LIMITS = "preview-limits"


def service_boundary(place: Place) -> Document:
    """The most that any role of a service can ever do, whatever its own policies say."""
    functions = place.arn("lambda", f"function:{_SERVICE}-*")
    return _document(
        _allow(
            "Logs",
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [place.arn("logs", f"log-group:/aws/*/{place.service}*")],
        ),
        # API Gateway looks for its log groups, X-Ray has no resources.
        _allow(
            "LogsAndTraces",
            [
                "logs:DescribeLogGroups",
                "logs:DescribeLogStreams",
                "xray:GetSampling*",
                "xray:PutTelemetryRecords",
                "xray:PutTraceSegments",
            ],
            ["*"],
        ),
        # Lambda itself attaches functions to the VPC, as their role: these have no resource.
        _allow("NetworkInterfaces", list(_NETWORK_INTERFACES), ["*"]),
        # … and the code of a function does not.
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
        _deny(
            "NoNetworkInterfacesForCode",
            list(_NETWORK_INTERFACES),
            ["*"],
            {"ArnLike": {"lambda:SourceFunctionArn": place.arn("lambda", "function:*")}},
        ),
        _allow(
            "Secrets",
            [
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:PutSecretValue",
                "secretsmanager:UpdateSecretVersionStage",
            ],
            [
                place.arn("secretsmanager", f"secret:{place.platform}/*"),
                _preview_secrets(place),
                place.arn("secretsmanager", f"secret:{global_name(place.environment)}/*"),
                # RDS names the master user's secret.
                place.arn("secretsmanager", "secret:rds!cluster-*"),
            ],
        ),
        _allow(
            "Key",
            ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            [place.arn("kms", "key/*")],
            _of_the_environments_key(place),
        ),
        _allow(
            "Data",
            [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:ListBucket",
                "s3:PutObject",
            ],
            [place.bucket("data"), f"{place.bucket('data')}/*"],
        ),
        # What a preview has written goes for good; the environment's objects keep their versions.
        _allow("PreviewData", ["s3:DeleteObjectVersion"], [f"{place.bucket('data')}/previews/*"]),
        _allow(
            "PreviewDataVersions",
            ["s3:ListBucketVersions"],
            [place.bucket("data")],
            {"StringLike": {"s3:prefix": "previews/*"}},
        ),
        _allow("Database", ["rds-db:connect"], [place.arn("rds-db", "dbuser:*/trade_app")]),
        _allow("Contract", ["ssm:GetParameter", "ssm:GetParameters"], [_contract(place)]),
        _allow(
            "Invocation",
            [
                "lambda:GetAlias",
                "lambda:GetFunction",
                "lambda:GetProvisionedConcurrencyConfig",
                "lambda:InvokeFunction",
            ],
            [
                f"{name}{version}"
                for name in (functions, _hook(place), _hook(place, PREVIEW_MARK + "*"))
                for version in ("", ":*")
            ],
        ),
        _allow(
            "Queues",
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            [place.arn("sqs", f"{_SERVICE}-*")],
        ),
        # The role of CodeDeploy: it moves an alias and looks at alarms; its hooks report back.
        _allow("Traffic", ["lambda:UpdateAlias"], [functions]),
        _allow(
            "Deployments",
            ["codedeploy:PutLifecycleEventHookExecutionStatus"],
            [place.arn("codedeploy", f"deploymentgroup:{_SERVICE}-*/*")],
        ),
        _allow("Alarms", ["cloudwatch:DescribeAlarms"], ["*"]),
    )


def service_deployer(place: Place) -> Document:
    """What `make deploy-service` and its siblings need, and an outright No to the data layer."""
    artifacts = place.bucket("code")
    functions = place.arn("lambda", f"function:{_SERVICE}-*")
    layers = place.arn("lambda", f"layer:{_SERVICE}-*")
    roles = place.iam(f"role/{_SERVICE}-*")
    bounded = {"StringEquals": {"iam:PermissionsBoundary": place.boundary}}
    return _document(
        _allow(
            "Stack",
            ["cloudformation:*"],
            [
                place.arn("cloudformation", f"stack/{place.service}/*"),
                place.arn("cloudformation", f"stack/{place.previews}/*"),
                f"arn:aws:cloudformation:{place.region}:aws:transform/*",
            ],
        ),
        _allow("Contract", ["ssm:GetParameter", "ssm:GetParameters"], [_contract(place)]),
        _allow("ArtifactBucket", ["s3:GetBucketLocation", "s3:ListBucket"], [artifacts]),
        _allow(
            "Artifacts",
            ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            [f"{artifacts}/{place.service}/*", f"{artifacts}/{place.previews}/*"],
        ),
        _allow(
            "ArtifactKey",
            ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            [place.arn("kms", "key/*")],
            _of_the_environments_key(place),
        ),
        _allow(
            "Functions",
            ["lambda:*"],
            # With their versions: what ends with a wildcard goes on beyond a colon.
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
            [functions, layers, f"{_hook(place)}*"],
        ),
        _allow(
            "Api",
            ["apigateway:*", "wafv2:*WebACL", "wafv2:GetWebACLForResource"],
            [
                *(
                    f"arn:aws:apigateway:{place.region}::/{path}"
                    for path in ("account", "restapis*", "tags/*", "usageplans*")
                ),
                place.arn("wafv2", "regional/webacl/*"),
            ],
        ),
        _allow(
            "RolesWithinTheBoundary",
            [
                "iam:AttachRolePolicy",
                "iam:CreateRole",
                "iam:DeleteRolePolicy",
                "iam:DetachRolePolicy",
                "iam:PutRolePermissionsBoundary",
                "iam:PutRolePolicy",
            ],
            [roles],
            bounded,
        ),
        _allow(
            "Roles",
            [
                "iam:DeleteRole",
                "iam:GetRole*",
                "iam:List*Role*",
                "iam:TagRole",
                "iam:UntagRole",
                "iam:UpdateAssumeRolePolicy",
                "iam:UpdateRole",
            ],
            [roles],
        ),
        # This role outlives the environment, and so has no boundary: its one policy bounds it.
        _allow(
            "RoleOfApiGateway",
            ["iam:CreateRole"],
            [place.iam(f"role/{_SERVICE}-*ApiGatewayRole-*")],
        ),
        _allow(
            "LogsOfApiGateway",
            ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
            [place.iam(f"role/{_SERVICE}-*ApiGatewayRole-*")],
            {"ArnEquals": {"iam:PolicyARN": API_GATEWAY_LOGS}},
        ),
        _allow(
            "RolesForServices",
            ["iam:PassRole"],
            [roles],
            {
                "StringEquals": {
                    "iam:PassedToService": [
                        f"{service}.amazonaws.com"
                        for service in ("apigateway", "codedeploy", "lambda", "scheduler")
                    ]
                }
            },
        ),
        # A preview's, whose value the migration sets.
        _allow(
            "Secrets",
            [
                f"secretsmanager:{verb}"
                for verb in ("CreateSecret", "De*Secret", "TagResource", "UpdateSecret")
            ],
            [_preview_secrets(place)],
        ),
        _allow("Logs", ["logs:*"], [place.arn("logs", f"log-group:/aws/*/{place.service}*")]),
        _allow(
            "Operation",
            ["cloudwatch:*", "codedeploy:*", "scheduler:*", "sqs:*"],
            [
                place.arn("cloudwatch", f"alarm:{_SERVICE}-*"),
                f"arn:aws:cloudwatch::{place.account}:dashboard/{_SERVICE}-*",
                # Applications and their deployment groups.
                place.arn("codedeploy", f"*:{_SERVICE}-*"),
                place.arn("codedeploy", "deploymentconfig:*"),
                place.arn("scheduler", f"schedule/*/{_SERVICE}-*"),
                place.arn("sqs", f"{_SERVICE}-*"),
            ],
        ),
        # These name no resource.
        _allow(
            "Lookups",
            [
                "cloudformation:DescribeStacks",
                "cloudformation:GetTemplateSummary",
                "cloudformation:ValidateTemplate",
                "cloudwatch:Describe*",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "lambda:GetAccountSettings",
                "logs:DescribeLogGroups",
            ],
            ["*"],
        ),
        _deny(
            "DataLayer",
            [
                "backup:*",
                *(
                    f"ec2:{verb}*"
                    # A: accept, allocate, associate, …; R: release, replace, revoke, …
                    for verb in ("A", "Create", "Delete", "Detach", "Disassociate", "Modify", "R")
                ),
                *(
                    f"kms:{verb}*"
                    for verb in (
                        "CancelKey",
                        "Create",
                        "Delete",
                        "Disable",
                        "Enable",
                        "Put",
                        "Retire",
                        "Revoke",
                        "ScheduleKey",
                        "Update",
                    )
                ),
                "rds:*",
                "rds-data:*",
                # Not even those of previews.
                "secretsmanager:*SecretValue",
                "ssm:Delete*",
                "ssm:PutParameter",
            ],
            ["*"],
        ),
        {
            "Sid": "SecretsOfOthers",
            "Effect": "Deny",
            "Action": "secretsmanager:*",
            "NotResource": _preview_secrets(place),
        },
        _deny(
            "StateAndData",
            ["dynamodb:*", "s3:*"],
            [
                place.arn("dynamodb", f"table/{state_lock_table_name(place.region)}"),
                f"arn:aws:s3:::{state_bucket_name(place.region, place.account)}*",
                f"{place.bucket('data')}*",
            ],
        ),
        _deny(
            "Boundary",
            [
                "iam:*AccessKey*",
                "iam:*Group*",
                "iam:*PolicyVersion",
                "iam:*User*",
                "iam:CreatePolicy",
                "iam:DeletePolicy",
                "iam:DeleteRolePermissionsBoundary",
            ],
            ["*"],
        ),
        _deny("NoOtherIdentity", ["sts:AssumeRole"], [place.iam(f"role/{PLATFORM}-*")]),
    )


def infra_deployer(place: Place) -> Document:
    """What `make deploy-infra` and its siblings need in one region."""
    state = f"arn:aws:s3:::{state_bucket_name(place.region, place.account)}"
    here = {"StringEquals": {"aws:RequestedRegion": place.region}}
    keys = f"arn:aws:kms:*:{place.account}:key/*"
    own_log_groups = log_group_name(place.region, place.environment, "*")
    roles = place.iam(f"role/{PLATFORM}-*")
    return _document(
        # A VPC's parts have no names: the region is what bounds them.
        _allow(
            "Network",
            [
                "ec2:*Address*",
                "ec2:*FlowLogs",
                "ec2:*InternetGateway*",
                "ec2:*NatGateway*",
                "ec2:*NetworkAcl*",
                "ec2:*Route*",
                "ec2:*SecurityGroup*",
                "ec2:*Subnet*",
                "ec2:*Tags",
                "ec2:*Vpc*",
                "ec2:DeleteNetworkInterface",
                "ec2:Describe*",
                "ec2:DetachNetworkInterface",
                "ec2:GetManagedPrefixListEntries",
            ],
            ["*"],
            here,
        ),
        _allow(
            "Database",
            ["rds:*"],
            [
                place.arn("rds", f"*:{place.platform}*"),
                # A global database is in no region.
                f"arn:aws:rds::{place.account}:global-cluster:{global_name(place.environment)}",
                # AWS names proxies and their parts; an instance without options has these.
                *(place.arn("rds", f"{kind}:*") for kind in ("db-proxy*", "og", "target-group")),
            ],
        ),
        _allow("DatabaseLookups", ["rds:Describe*", "rds:ListTagsForResource"], ["*"], here),
        # A key has no name: its tags say whose it is.
        _allow(
            "NewKeys",
            ["kms:CreateKey", "kms:TagResource"],
            ["*"],
            {"StringEquals": {"aws:RequestTag/Project": PLATFORM}},
        ),
        _allow(
            "Keys",
            ["kms:*"],
            [keys],
            {"StringEquals": {"aws:ResourceTag/Project": PLATFORM}},
        ),
        _allow(
            "KeyAliases",
            ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"],
            [
                # Of a global database, the primary region makes the keys of all.
                *(
                    f"arn:aws:kms:{region}:{place.account}:{key_alias(region, place.environment)}"
                    for region in REGION_CODES
                ),
                f"arn:aws:kms:*:{place.account}:{key_alias('*', place.environment, 'copy')}",
            ],
        ),
        _deny(
            "StateKeyStays",
            ["kms:*Alias", "kms:Disable*", "kms:Put*", "kms:ScheduleKeyDeletion"],
            [keys],
            {"ForAnyValue:StringEquals": {"kms:ResourceAliases": state_key_alias(place.region)}},
        ),
        _allow(
            "Buckets",
            ["s3:*"],
            [
                f"{place.bucket(role)}{rest}"
                for role in ("data", "code", "logs")
                for rest in ("", "/*")
            ],
        ),
        _allow(
            "NamedForThePlatform",
            ["backup:*", "cloudwatch:*", "logs:*", "secretsmanager:*", "sns:*", "ssm:*"],
            [
                # The copies of backups are in another region, as is their key.
                f"arn:aws:backup:*:{place.account}:backup-vault:{PLATFORM}-*",
                place.arn("backup", "backup-plan:*"),
                place.arn("cloudwatch", f"alarm:{PLATFORM}-*"),
                f"arn:aws:cloudwatch::{place.account}:dashboard/{PLATFORM}-*",
                place.arn("logs", f"log-group:/aws/rds/cluster/{place.platform}/*"),
                place.arn("logs", f"log-group:{own_log_groups}"),
                place.arn("secretsmanager", f"secret:{place.platform}*"),
                # The secrets of a global database have replicas in other regions.
                f"arn:aws:secretsmanager:*:{place.account}:secret:"
                f"{global_name(place.environment)}/*",
                place.arn("secretsmanager", "secret:rds!cluster-*"),
                place.arn("sns", f"{PLATFORM}-*"),
                _contract(place),
            ],
        ),
        _allow(
            "Lookups",
            [
                "backup-storage:MountCapsule",
                "backup:List*",
                "cloudformation:DescribeStacks",
                "cloudwatch:Describe*",
                "cloudwatch:ListTagsForResource",
                "logs:*LogDelivery",
                "logs:DescribeLogGroups",
                "logs:DescribeResourcePolicies",
                "secretsmanager:GetRandomPassword",
                "sns:*SubscriptionAttributes",
                "sns:Unsubscribe",
                "kms:ListAliases",
                "ssm:DescribeParameters",
            ],
            ["*"],
        ),
        _allow(
            "RolesAndPolicies",
            ["iam:*Policy", "iam:*PolicyVersion*", "iam:*Role", "iam:*RolePolic*", "iam:List*"],
            [roles, place.iam(f"policy/{PLATFORM}-*")],
        ),
        # To attach what is not the platform's own would be a way to more rights.
        _deny(
            "NoForeignPolicies",
            ["iam:AttachRolePolicy"],
            ["*"],
            {
                "ArnNotLike": {
                    "iam:PolicyARN": [
                        place.iam(f"policy/{PLATFORM}-*"),
                        "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyFor*",
                        "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
                    ]
                }
            },
        ),
        # … as would be to become one of the roles, or to change the own policy.
        _deny("NoOtherIdentity", ["sts:AssumeRole"], [roles]),
        _deny(
            "NoOwnPolicy",
            ["iam:*"],
            [place.iam(f"policy/{PLATFORM}-{INFRA_DEPLOYER}-*")],
        ),
        _deny(
            "RolesForServicesAlone",
            ["iam:PassRole"],
            ["*"],
            {
                "StringNotEquals": {
                    "iam:PassedToService": [
                        "backup.amazonaws.com",
                        "monitoring.rds.amazonaws.com",
                        "rds.amazonaws.com",
                        "vpc-flow-logs.amazonaws.com",
                    ]
                }
            },
        ),
        _allow(
            "ServiceLinkedRoles",
            ["iam:CreateServiceLinkedRole"],
            [place.iam("role/aws-service-role/*")],
            {"StringEquals": {"iam:AWSServiceName": ["backup.amazonaws.com", "rds.amazonaws.com"]}},
        ),
        _allow("StateBucket", ["s3:ListBucket"], [state]),
        _allow(
            "State",
            ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            [f"{state}/{place.platform}/*", f"{state}/env:/*/{place.platform}/*"],
        ),
        _allow(
            "StateLocks",
            [
                "dynamodb:DeleteItem",
                "dynamodb:DescribeTable",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
            ],
            [place.arn("dynamodb", f"table/{state_lock_table_name(place.region)}")],
        ),
    )


def planner(place: Place) -> Document:
    """What `make plan-comment` and `make drift` read in one region: no secret, and no trade.

    It changes nothing, not even locks: they plan without one.
    """
    state = f"arn:aws:s3:::{state_bucket_name(place.region, place.account)}"
    buckets = [place.bucket(role) for role in ("data", "code", "logs")]
    return _document(
        _allow(
            "Descriptions",
            [
                "backup:Describe*",
                "backup:GetBackup*",
                "backup:List*",
                "cloudformation:Describe*",
                "cloudformation:Detect*",
                "cloudformation:GetTemplate*",
                "cloudformation:List*",
                "cloudwatch:Describe*",
                "cloudwatch:GetDashboard",
                "cloudwatch:ListTagsForResource",
                "ec2:Describe*",
                "ec2:GetManagedPrefixListEntries",
                "kms:DescribeKey",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:ListAliases",
                "kms:ListResourceTags",
                "logs:Describe*",
                "logs:List*",
                "rds:Describe*",
                "rds:ListTagsForResource",
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetResourcePolicy",
                "sns:Get*Attributes",
                "sns:List*",
                "ssm:DescribeParameters",
            ],
            ["*"],
        ),
        _allow(
            "Roles",
            ["iam:GetPolicy*", "iam:GetRole*", "iam:List*Polic*"],
            [place.iam(f"role/{PLATFORM}-*"), place.iam(f"policy/{PLATFORM}-*")],
        ),
        _allow("Buckets", ["s3:Get*Configuration", "s3:GetBucket*", "s3:ListBucket"], buckets),
        _allow(
            "Contract",
            ["ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"],
            [_contract(place)],
        ),
        _allow(
            "Aliases",
            ["lambda:GetAlias", "lambda:ListAliases", "lambda:ListVersionsByFunction"],
            [place.arn("lambda", f"function:{_SERVICE}-*")],
        ),
        _allow("StateBucket", ["s3:ListBucket"], [state]),
        _allow(
            "State",
            ["s3:GetObject"],
            [f"{state}/{place.platform}/*", f"{state}/env:/*/{place.platform}/*"],
        ),
        _allow(
            "StateKey",
            ["kms:Decrypt"],
            [place.arn("kms", "key/*")],
            {"ForAnyValue:StringEquals": {"kms:ResourceAliases": state_key_alias(place.region)}},
        ),
        # The table also has the checksum of each state.
        _allow(
            "StateChecksums",
            ["dynamodb:GetItem"],
            [place.arn("dynamodb", f"table/{state_lock_table_name(place.region)}")],
        ),
    )


def preview_limits(place: Place) -> Document:
    """What whoever deploys previews may not do, beside the service deployer's policy."""
    changes = ("Cancel", "Continue", "Create", "Delete", "Execute", "Rollback", "Set", "Update")
    return _document(
        _deny(
            "EnvironmentsOwnService",
            [f"cloudformation:{verb}*" for verb in changes],
            [place.arn("cloudformation", f"stack/{place.service}/*")],
        ),
    )


_NETWORK_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


def _hook(place: Place, preview: str = "") -> str:
    # CodeDeploy calls functions whose names begin so, and no others.
    return place.arn("lambda", f"function:CodeDeployHook_trade_{place.environment}{preview}")


def _preview_secrets(place: Place) -> str:
    return place.arn("secretsmanager", f"secret:{place.previews}/*")


def _contract(place: Place) -> str:
    return place.arn("ssm", f"parameter/{PLATFORM}/{place.environment}/*")


def _of_the_environments_key(place: Place) -> Mapping[str, object]:
    # The key's id is not known before the key is made; its alias is.
    alias = key_alias(place.region, place.environment)
    return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}


def _document(*statements: Statement) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, object] | None = None,
) -> Statement:
    return _statement("Allow", sid, actions, resources, condition)


def _deny(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, object] | None = None,
) -> Statement:
    return _statement("Deny", sid, actions, resources, condition)


def _statement(
    effect: str,
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, object] | None,
) -> Statement:
    statement: Statement = {
        "Sid": sid,
        "Effect": effect,
        "Action": list(actions),
        "Resource": list(resources),
    }
    return {**statement, "Condition": condition} if condition else statement


def main() -> None:
    """Print the policies of each region of the environment, as one JSON document by name.

    Raises:
        UserError: there are no credentials for AWS.
    """
    from infra.backend import account_id  # boto3, which a synth does without

    environment = load_environment(os.environ)
    documents = {}
    for region in environment.regions:
        place = Place(account_id(region.region), region.region, environment.suffix)
        for role, document in POLICIES.items():
            documents[place.policy_name(role)] = document(place)
    print(json.dumps(documents, indent=2))


POLICIES = {
    BOUNDARY: service_boundary,
    SERVICE_DEPLOYER: service_deployer,
    INFRA_DEPLOYER: infra_deployer,
    PLANNER: planner,
}


if __name__ == "__main__":
    sys.exit(exit_code(main))
