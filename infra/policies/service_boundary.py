"""The permissions boundary of the roles that a service may make."""

from infra.config.naming import global_name
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
from shared.naming import PREVIEW_MARK

_NETWORK_INTERFACES = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


def service_boundary(place: Place) -> Document:
    """The most that any role of a service can ever do, whatever its own policies say."""
    functions = place.arn("lambda", f"function:{SERVICE}-*")
    return document(
        allow(
            "Logs",
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [place.arn("logs", f"log-group:/aws/*/{place.service}*")],
        ),
        # API Gateway looks for its log groups, X-Ray has no resources.
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
        # Lambda itself attaches functions to the VPC, as their role: these have no resource.
        allow("NetworkInterfaces", list(_NETWORK_INTERFACES), ["*"]),
        # … and the code of a function does not.
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html
        deny(
            "NoNetworkInterfacesForCode",
            list(_NETWORK_INTERFACES),
            ["*"],
            {"ArnLike": {"lambda:SourceFunctionArn": place.arn("lambda", "function:*")}},
        ),
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
                place.arn("secretsmanager", f"secret:{global_name(place.environment)}/*"),
                # RDS names the master user's secret.
                place.arn("secretsmanager", "secret:rds!cluster-*"),
            ],
        ),
        allow(
            "Key",
            ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            [place.arn("kms", "key/*")],
            with_environment_key(place),
        ),
        allow(
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
        allow("PreviewData", ["s3:DeleteObjectVersion"], [f"{place.bucket('data')}/previews/*"]),
        allow(
            "PreviewDataVersions",
            ["s3:ListBucketVersions"],
            [place.bucket("data")],
            {"StringLike": {"s3:prefix": "previews/*"}},
        ),
        allow("Database", ["rds-db:connect"], [place.arn("rds-db", "dbuser:*/trade_app")]),
        allow("Contract", ["ssm:GetParameter", "ssm:GetParameters"], [contract_parameters(place)]),
        allow(
            "Invocation",
            [
                "lambda:GetAlias",
                "lambda:GetFunction",
                "lambda:GetProvisionedConcurrencyConfig",
                "lambda:InvokeFunction",
            ],
            [
                f"{name}{version}"
                for name in (functions, hook(place), hook(place, PREVIEW_MARK + "*"))
                for version in ("", ":*")
            ],
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
        # The role of CodeDeploy: it moves an alias and looks at alarms; its hooks report back.
        allow("Traffic", ["lambda:UpdateAlias"], [functions]),
        allow(
            "Deployments",
            ["codedeploy:PutLifecycleEventHookExecutionStatus"],
            [place.arn("codedeploy", f"deploymentgroup:{SERVICE}-*/*")],
        ),
        allow("Alarms", ["cloudwatch:DescribeAlarms"], ["*"]),
    )
