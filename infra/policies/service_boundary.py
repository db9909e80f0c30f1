"""The permissions boundary of the roles that a service may create."""

from infra.config.naming import APP_USER
from infra.config.place import Place
from infra.policies.statements import (
    FUNCTIONS,
    Document,
    Statement,
    allow,
    contract_parameters,
    deny,
    deny_all_but,
    document,
    hook,
    of_other_stacks,
    of_stacks,
    own_logs,
    own_queue,
    preview_folder,
    preview_roles,
    preview_secrets,
    queues,
    service_deployments,
    service_functions,
    service_logs,
    with_environment_key,
)
from shared.naming import PREVIEW_MARK

BOUNDARY = "service-boundary"

_NETWORK_INTERFACES = (
    "ec2:*ssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
)


def service_boundary(
    place: Place, *, vpc: str | None = None, master_secret: str | None = None, database: str = "*"
) -> Document:
    """The most that a role of a service can ever do, whatever its own policies say.

    `vpc` and `master_secret` are the ARNs of the platform's VPC and of the database's master
    secret. `database` is the resource id of the cluster, or of the proxy in front of it. The stack
    of the data platform knows all three. Without them, the document has patterns for the secret and
    the database, and admits any VPC.
    """
    return document(
        *_telemetry(place),
        *_network(place, vpc),
        *_secrets(place, master_secret or place.arn("secretsmanager", "secret:rds!cluster-*")),
        *_data(place, database),
        *_invocation(place),
        *_previews(place),
    )


def boundary_arn(place: Place) -> str:
    """The ARN of the boundary, which every role of a service has."""
    return place.iam(f"policy/{place.name('policy', BOUNDARY)}")


def _telemetry(place: Place) -> list[Statement]:
    return [
        # The stack creates the log groups, encrypted. The last lines of a function that is being
        # deleted must not create its log group again.
        allow(
            "Logs",
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            service_logs(place, FUNCTIONS),
        ),
        # CodeDeploy checks alarms, API Gateway looks up its log groups, and X-Ray has no resources.
        allow(
            "LogsAndTraces",
            [
                "cloudwatch:DescribeAlarms",
                "logs:DescribeLog*",
                "xray:GetSampling*",
                "xray:PutT*",
            ],
            ["*"],
        ),
    ]


def _network(place: Place, vpc: str | None) -> list[Statement]:
    statements = [
        # Lambda attaches functions to the VPC with their role. These actions have no resource.
        allow("NetworkInterfaces", list(_NETWORK_INTERFACES), ["*"]),
        # The function's own code does not need them.
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
        deny(
            "NoNetworkForCode",
            ["ec2:*"],
            ["*"],
            {"Null": {"lambda:SourceFunctionArn": "false"}},
        ),
    ]
    if vpc:
        # A function in another VPC would reach what other teams have there. So would anybody whom a
        # role is made to trust: the addresses of other teams' interfaces could be taken away. The
        # second condition lets requests pass that EC2 authorizes without this key.
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
        other = {"ArnNotEquals": {"ec2:Vpc": vpc}, "Null": {"ec2:Vpc": "false"}}
        statements.append(deny("NoOtherVpc", ["ec2:*"], ["*"], other))
    return statements


def _secrets(place: Place, master_secret: str) -> list[Statement]:
    return [
        allow(
            "Secrets",
            [
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:PutSecretValue",
            ],
            [
                place.arn("secretsmanager", f"secret:{place.platform}/*"),
                preview_secrets(place),
                place.arn("secretsmanager", f"secret:{place.global_name}/*"),
                master_secret,
            ],
        ),
        allow(
            "Key",
            ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            [place.arn("kms", "key/*")],
            with_environment_key(place),
        ),
    ]


def _data(place: Place, database: str) -> list[Statement]:
    bucket = place.bucket("data")
    return [
        allow(
            "Data",
            [
                "s3:AbortMultipartUpload",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:ListBucket",
                "s3:PutObject",
            ],
            [bucket, f"{bucket}/*"],
        ),
        # Previews delete their objects for good; the environment's objects keep their versions.
        allow("PreviewData", ["s3:DeleteObjectVersion"], [f"{bucket}/{preview_folder('*')}*"]),
        allow(
            "PreviewDataVersions",
            ["s3:ListBucketVersions"],
            [bucket],
            {"StringLike": {"s3:prefix": preview_folder("*")}},
        ),
        allow("Database", ["rds-db:connect"], [_app_user(place, database)]),
        allow("Contract", ["ssm:GetParameter", "ssm:GetParameters"], [contract_parameters(place)]),
        # A role's deployer decides who may assume the role. Secrets and data are not for everybody
        # whom a role can be made to trust, but for code in a function of the service.
        # https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
        deny(
            "NobodyButFunctions",
            ["rds-db:*", "s3:*", "secretsmanager:*"],
            ["*"],
            {"ArnNotLike": {"lambda:SourceFunctionArn": service_functions(place)}},
        ),
    ]


def _app_user(place: Place, database: str = "*") -> str:
    return place.arn("rds-db", f"dbuser:{database}/{APP_USER}")


def _invocation(place: Place) -> list[Statement]:
    return [
        # CodeDeploy's role looks at an alias and moves it. What checks a release tells CodeDeploy
        # what it has found. Failed runs of the archive go to its queue.
        allow(
            "Calls",
            [
                "codedeploy:PutLifecycleEventHookExecutionStatus",
                "lambda:Get*",
                "lambda:InvokeFunction",
                "lambda:UpdateAlias",
                "sqs:SendMessage",
            ],
            [
                service_functions(place),
                hook(place),
                hook(place, f"{PREVIEW_MARK}*"),
                *queues(place),
                service_deployments(place, "deploymentgroup"),
            ],
        ),
        # What the names of functions let in.
        deny("OtherStacks", ["lambda:*"], ["*"], of_other_stacks(place)),
    ]


def _previews(place: Place) -> list[Statement]:
    """What a preview's role may not do, although the environment's own service may.

    The author of a branch decides what the roles of its preview may do. The path of a role tells a
    preview's from the environment's. The master secret stays open: a preview makes its own schema.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn
    """
    by_previews = {"ArnLike": {"aws:PrincipalArn": preview_roles(place)}}
    bucket = place.bucket("data")
    return [
        deny(
            "NotTheService",
            ["codedeploy:*", "logs:*", "rds-db:*", "secretsmanager:*", "sqs:*"],
            [
                *own_logs(place, FUNCTIONS),
                own_queue(place),
                service_deployments(place, "deploymentgroup"),
                _app_user(place),
                place.arn("secretsmanager", f"secret:{place.platform}/*"),
                place.arn("secretsmanager", f"secret:{place.global_name}/*/{APP_USER}*"),
            ],
            by_previews,
        ),
        deny_all_but(
            "NotTheData",
            ["s3:*"],
            [bucket, f"{bucket}/{preview_folder('*')}*"],
            by_previews,
        ),
        deny(
            "NotTheFunctions",
            ["lambda:*"],
            ["*"],
            {**by_previews, **of_stacks(place.service)},
        ),
    ]
