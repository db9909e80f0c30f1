"""What the app team may do to release the service and its previews."""

from infra.config.naming import state_bucket_name, state_lock_table_name
from infra.policies.place import SERVICE, Place
from infra.policies.statements import (
    Document,
    allow,
    contract_parameters,
    deny,
    document,
    hook,
    preview_secrets,
    with_environment_key,
)
from shared.naming import PLATFORM

API_GATEWAY_LOGS = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"


def service_deployer(place: Place) -> Document:
    """What `make deploy-service` and its siblings need, and an outright No to the data layer."""
    artifacts = place.bucket("code")
    functions = place.arn("lambda", f"function:{SERVICE}-*")
    layers = place.arn("lambda", f"layer:{SERVICE}-*")
    roles = place.iam(f"role/{SERVICE}-*")
    bounded = {"StringEquals": {"iam:PermissionsBoundary": place.boundary}}
    return document(
        allow(
            "Stack",
            ["cloudformation:*"],
            [
                place.arn("cloudformation", f"stack/{place.service}/*"),
                place.arn("cloudformation", f"stack/{place.previews}/*"),
                f"arn:aws:cloudformation:{place.region}:aws:transform/*",
            ],
        ),
        allow("Contract", ["ssm:GetParameter", "ssm:GetParameters"], [contract_parameters(place)]),
        allow("ArtifactBucket", ["s3:GetBucketLocation", "s3:ListBucket"], [artifacts]),
        allow(
            "Artifacts",
            ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            [f"{artifacts}/{place.service}/*", f"{artifacts}/{place.previews}/*"],
        ),
        allow(
            "ArtifactKey",
            ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            [place.arn("kms", "key/*")],
            with_environment_key(place),
        ),
        allow(
            "Functions",
            ["lambda:*"],
            # With their versions: what ends with a wildcard goes on beyond a colon.
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
            [functions, layers, f"{hook(place)}*"],
        ),
        allow(
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
        allow(
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
        allow(
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
        allow(
            "RoleOfApiGateway",
            ["iam:CreateRole"],
            [place.iam(f"role/{SERVICE}-*ApiGatewayRole-*")],
        ),
        allow(
            "LogsOfApiGateway",
            ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
            [place.iam(f"role/{SERVICE}-*ApiGatewayRole-*")],
            {"ArnEquals": {"iam:PolicyARN": API_GATEWAY_LOGS}},
        ),
        allow(
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
        allow(
            "Secrets",
            [
                f"secretsmanager:{verb}"
                for verb in ("CreateSecret", "De*Secret", "TagResource", "UpdateSecret")
            ],
            [preview_secrets(place)],
        ),
        allow("Logs", ["logs:*"], [place.arn("logs", f"log-group:/aws/*/{place.service}*")]),
        allow(
            "Operation",
            ["cloudwatch:*", "codedeploy:*", "scheduler:*", "sqs:*"],
            [
                place.arn("cloudwatch", f"alarm:{SERVICE}-*"),
                f"arn:aws:cloudwatch::{place.account}:dashboard/{SERVICE}-*",
                # Applications and their deployment groups.
                place.arn("codedeploy", f"*:{SERVICE}-*"),
                place.arn("codedeploy", "deploymentconfig:*"),
                place.arn("scheduler", f"schedule/*/{SERVICE}-*"),
                place.arn("sqs", f"{SERVICE}-*"),
            ],
        ),
        # These name no resource.
        allow(
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
        deny(
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
            "NotResource": preview_secrets(place),
        },
        deny(
            "StateAndData",
            ["dynamodb:*", "s3:*"],
            [
                place.arn("dynamodb", f"table/{state_lock_table_name(place.region)}"),
                f"arn:aws:s3:::{state_bucket_name(place.region, place.account)}*",
                f"{place.bucket('data')}*",
            ],
        ),
        deny(
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
        deny("NoOtherIdentity", ["sts:AssumeRole"], [place.iam(f"role/{PLATFORM}-*")]),
    )


def preview_limits(place: Place) -> Document:
    """What whoever deploys previews may not do, beside the service deployer's policy."""
    changes = ("Cancel", "Continue", "Create", "Delete", "Execute", "Rollback", "Set", "Update")
    return document(
        deny(
            "EnvironmentsOwnService",
            [f"cloudformation:{verb}*" for verb in changes],
            [place.arn("cloudformation", f"stack/{place.service}/*")],
        ),
    )
