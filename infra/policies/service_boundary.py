"""The permissions boundary of the roles that a service may create."""

from infra.config.naming import APP_USER
from infra.config.place import Place
from infra.policies.statements import (
    SERVICE,
    Document,
    Statement,
    allow,
    contract_parameters,
    deny,
    document,
    hooks,
    preview_folder,
    preview_secrets,
    service_functions,
    service_logs,
    with_environment_key,
)

BOUNDARY = "service-boundary"

_NETWORK_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


def service_boundary(
    place: Place, *, vpc: str | None = None, master_secret: str | None = None
) -> Document:
    """The most that a role of a service can ever do, whatever its own policies say.

    `vpc` and `master_secret` are the ARNs of the platform's VPC and of the database's master
    secret. The stack of the data platform knows both. Without them, the document has a pattern for
    the secret and admits any VPC.
    """
    return document(
        *_telemetry(place),
        *_network(place, vpc),
        *_secrets(place, master_secret or place.arn("secretsmanager", "secret:rds!cluster-*")),
        *_data(place),
        *_invocation(place),
        *_release(place),
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
            service_logs(place),
        ),
        # API Gateway looks up its log groups, and X-Ray has no resources.
        allow(
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
    ]


def _network(place: Place, vpc: str | None) -> list[Statement]:
    statements = [
        # Lambda attaches functions to the VPC with their role. These actions have no resource.
        allow("NetworkInterfaces", list(_NETWORK_INTERFACES), ["*"]),
        # The function's own code does not need them.
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
        deny(
            "NoNetworkInterfacesForCode",
            list(_NETWORK_INTERFACES),
            ["*"],
            {"ArnLike": {"lambda:SourceFunctionArn": place.arn("lambda", "function:*")}},
        ),
    ]
    if vpc:
        # A function in another VPC would reach what other teams have there. The second condition
        # lets requests pass that EC2 authorizes without this key.
        # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
        other = {"ArnNotEquals": {"ec2:Vpc": vpc}, "Null": {"ec2:Vpc": "false"}}
        statements.append(deny("NoOtherVpc", ["ec2:CreateNetworkInterface"], ["*"], other))
    return statements


def _in_a_function(place: Place) -> dict[str, object]:
    """The condition that code in a function of the service makes the request.

    A role's deployer decides who may assume the role. Secrets and data are not for everybody whom a
    role can be made to trust.
    https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
    """
    return {"ArnLike": {"lambda:SourceFunctionArn": service_functions(place)}}


def _secrets(place: Place, master_secret: str) -> list[Statement]:
    return [
        allow(
            "Secrets",
            [
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue",
                "secretsmanager:PutSecretValue",
                "secretsmanager:UpdateSecretVersionStage",
            ],
            [
                place.arn("secretsmanager", f"secret:{place.platform}/*"),
                preview_secrets(place),
                place.arn("secretsmanager", f"secret:{place.global_name}/*"),
                master_secret,
            ],
            _in_a_function(place),
        ),
        allow(
            "Key",
            ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            [place.arn("kms", "key/*")],
            with_environment_key(place),
        ),
    ]


def _data(place: Place) -> list[Statement]:
    bucket, in_a_function = place.bucket("data"), _in_a_function(place)
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
            in_a_function,
        ),
        # Previews delete their objects for good; the environment's objects keep their versions.
        allow(
            "PreviewData",
            ["s3:DeleteObjectVersion"],
            [f"{bucket}/{preview_folder('*')}*"],
            in_a_function,
        ),
        allow(
            "PreviewDataVersions",
            ["s3:ListBucketVersions"],
            [bucket],
            {"StringLike": {"s3:prefix": preview_folder("*")}, **in_a_function},
        ),
        allow(
            "Database",
            ["rds-db:connect"],
            [place.arn("rds-db", f"dbuser:*/{APP_USER}")],
            in_a_function,
        ),
        allow("Contract", ["ssm:GetParameter", "ssm:GetParameters"], [contract_parameters(place)]),
    ]


def _invocation(place: Place) -> list[Statement]:
    functions = service_functions(place)
    return [
        allow(
            "Invocation",
            [
                "lambda:GetAlias",
                "lambda:GetFunction",
                "lambda:GetProvisionedConcurrencyConfig",
                "lambda:InvokeFunction",
            ],
            [functions, *hooks(place)],
        ),
        allow(
            "Queues",
            [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            [place.arn("sqs", f"{SERVICE}-*")],
        ),
    ]


def _release(place: Place) -> list[Statement]:
    """What CodeDeploy's role does: it moves an alias and checks alarms. Its hooks report back."""
    return [
        allow("Traffic", ["lambda:UpdateAlias"], [service_functions(place)]),
        allow(
            "Deployments",
            ["codedeploy:PutLifecycleEventHookExecutionStatus"],
            [place.arn("codedeploy", f"deploymentgroup:{SERVICE}-*/*")],
        ),
        allow("Alarms", ["cloudwatch:DescribeAlarms"], ["*"]),
    ]
