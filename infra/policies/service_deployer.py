"""What the app team may do to release the service and its previews."""

from infra.config.place import Place
from infra.policies.service_boundary import boundary_arn
from infra.policies.statements import (
    ACCESS_LOGS,
    APIS,
    FUNCTIONS,
    Document,
    Statement,
    allow,
    contract_parameters,
    deny,
    deny_all_but,
    document,
    hooks,
    in_region,
    of_other_stacks,
    of_stacks,
    preview_secrets,
    queues,
    service_alarms,
    service_deployments,
    service_functions,
    service_layers,
    service_logs,
    service_roles,
    with_environment_key,
)
from shared.naming import PLATFORM

SERVICE_DEPLOYER = "service-deployer"
SERVICE_DEPLOYER_ACCESS = "service-deployer-access"


def service_deployer(place: Place) -> Document:
    """The resources that `make deploy-service` and its siblings work on.

    Attach it with `service_deployer_access`: without that, no release can create its roles.
    """
    return document(
        *_release(place),
        _functions(place),
        *_api(place),
        *_operation(place),
    )


def service_deployer_access(place: Place) -> Document:
    """The roles and secrets that a release needs, and a denial of all changes of the data layer.

    The denial guards against mistakes: it also holds for a role that another policy allows such
    changes. Those who may create or assume other roles can work around it.
    """
    return document(
        *_roles(place),
        # Secrets of previews, whose values their migrations set.
        allow(
            "Secrets",
            [
                f"secretsmanager:{verb}"
                for verb in ("CreateSecret", "De*Secret", "TagResource", "UpdateSecret")
            ],
            [preview_secrets(place)],
        ),
        # What the names of functions let in. In other regions, the policies of these say it.
        deny("OtherStacks", ["lambda:*"], [place.arn("lambda", "*")], of_other_stacks(place)),
        *_data_layer_denied(place),
        *_identity_denied(place),
    )


def _release(place: Place) -> list[Statement]:
    artifacts = place.bucket("code")
    return [
        allow(
            "Stack",
            ["cloudformation:*"],
            [
                place.arn("cloudformation", f"stack/{place.service}/*"),
                place.arn("cloudformation", f"stack/{place.previews}/*"),
                f"arn:aws:cloudformation:{place.region}:aws:transform/*",
            ],
        ),
        allow(
            "Contract",
            ["ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"],
            [contract_parameters(place)],
        ),
        allow("ArtifactBucket", ["s3:GetBucketLocation", "s3:ListBucket"], [artifacts]),
        allow(
            "Artifacts",
            # A release names the version of each object that it was made of.
            ["s3:DeleteObject", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"],
            [f"{artifacts}/{place.service}/*", f"{artifacts}/{place.previews}/*"],
        ),
        allow(
            "ArtifactKey",
            ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            [place.arn("kms", "key/*")],
            with_environment_key(place),
        ),
    ]


def _functions(place: Place) -> Statement:
    return allow(
        "Functions",
        ["lambda:*"],
        # Including their versions: a trailing wildcard also matches what follows a colon.
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
        [service_functions(place), *service_layers(place), *hooks(place)],
    )


def _api(place: Place) -> list[Statement]:
    api_gateway = f"arn:aws:apigateway:{place.region}::"
    return [
        allow(
            "NewApis",
            ["apigateway:POST", "apigateway:UpdateRestApiPolicy"],
            [f"{api_gateway}/restapis", f"{api_gateway}/usageplans"],
        ),
        # An API's id is not known before it exists, but CloudFormation tags it with the name of
        # its stack. What belongs to an API counts as tagged as well.
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-tagging-supported-resources.html
        allow(
            "Apis",
            ["apigateway:*"],
            [f"{api_gateway}/restapis/*", f"{api_gateway}/usageplans/*"],
            # API Gateway writes access logs with a role of its own, to any log group.
            # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html
            {
                **of_stacks(place.service, place.previews),
                "StringLikeIfExists": {ACCESS_LOGS: service_logs(place, APIS)},
            },
        ),
        # The tags of all APIs are one resource without tags. CloudFormation sets its own: nobody
        # else can set or remove them, for AWS keeps the prefix to itself.
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagement.html
        allow(
            "ApiTags",
            ["apigateway:*"],
            [f"{api_gateway}/tags/*"],
            {"ForAllValues:StringLike": {"aws:TagKeys": "aws:*"}},
        ),
        # Also needs apigateway:SetWebACL on the API's stage.
        allow(
            "WebAcls",
            ["wafv2:*ssociateWebACL", "wafv2:GetWebACL*"],
            [place.arn("wafv2", "regional/webacl/*"), f"{api_gateway}/restapis/*"],
        ),
    ]


def _roles(place: Place) -> list[Statement]:
    roles = service_roles(place)
    services = ("codedeploy", "lambda", "scheduler")
    return [
        allow(
            "RolesWithinTheBoundary",
            [
                "iam:AttachRolePolicy",
                "iam:CreateRole",
                "iam:De*RolePolicy",
                "iam:PutRoleP*",
            ],
            roles,
            {"StringEquals": {"iam:PermissionsBoundary": boundary_arn(place)}},
        ),
        # Not whom a role trusts: that stays as it was created.
        allow(
            "Roles",
            [
                "iam:DeleteRole",
                "iam:GetRole*",
                "iam:List*Role*",
                "iam:TagRole",
                "iam:UntagRole",
                "iam:UpdateRoleDescription",
            ],
            roles,
        ),
        allow(
            "RolesForServices",
            ["iam:PassRole"],
            roles,
            {
                "StringEquals": {
                    "iam:PassedToService": [f"{service}.amazonaws.com" for service in services]
                }
            },
        ),
    ]


def _operation(place: Place) -> list[Statement]:
    return [
        allow("Logs", ["logs:*"], service_logs(place, FUNCTIONS, APIS)),
        allow(
            "Operation",
            ["cloudwatch:*", "codedeploy:*", "scheduler:*", "sqs:*"],
            [
                *service_alarms(place),
                place.arn("cloudwatch", f"dashboard/{place.service}", region=""),
                service_deployments(place),
                place.arn("scheduler", f"schedule/*/{place.service}-archive"),
                *queues(place),
            ],
            # An alarm acts in CloudWatch's name: it could scale what other teams run, or ring their
            # alarms. Requests without actions have no such key.
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-alarm-actions.html
            {
                "ForAllValues:StringLike": {
                    "cloudwatch:AlarmActions": place.arn("sns", place.name("topic", "*"))
                }
            },
        ),
        # These actions have no resource. CloudFormation stops a deployment to roll back.
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodedeploy.html
        allow(
            "Lookups",
            [
                "cloudformation:DescribeStacks",
                "cloudformation:GetTemplateSummary",
                "cloudformation:ValidateTemplate",
                "cloudwatch:Describe*",
                "codedeploy:GetDeploymentConfig",
                "codedeploy:StopDeployment",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "lambda:GetAccountSettings",
                "logs:Describe*Policies",
                "logs:DescribeLogGroups",
            ],
            ["*"],
        ),
    ]


# A: accept, allocate, associate, …; R: release, replace, revoke, …
_NETWORK_CHANGES = ("A", "Create", "Delete", "Detach", "Disassociate", "Modify", "R")
_KEY_CHANGES = (
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


def _data_layer_denied(place: Place) -> list[Statement]:
    return [
        deny(
            "DataLayer",
            [
                "backup:*",
                *(f"ec2:{verb}*" for verb in _NETWORK_CHANGES),
                *(f"kms:{verb}*" for verb in _KEY_CHANGES),
                "rds:*",
                "rds-data:*",
                # Not even the values of previews.
                "secretsmanager:*SecretValue",
                "ssm:Delete*",
                "ssm:PutParameter",
            ],
            ["*"],
        ),
        # In this region: each region's policy would deny the others' previews otherwise.
        deny_all_but(
            "SecretsOfOthers", ["secretsmanager:*"], [preview_secrets(place)], in_region(place)
        ),
        deny(
            "StateAndData",
            ["dynamodb:*", "s3:*"],
            [place.state_locks, f"{place.state_bucket}*", f"{place.bucket('data')}*"],
        ),
    ]


def _identity_denied(place: Place) -> list[Statement]:
    return [
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
    ]
