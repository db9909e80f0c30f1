"""What a plan and a drift report may read."""

from infra.config.place import Place
from infra.policies.statements import (
    Document,
    Statement,
    allow,
    contract_parameters,
    document,
    of_own_states,
    service_functions,
    state_objects,
    with_state_key,
)
from shared.naming import PLATFORM

PLANNER = "planner"


_DESCRIPTIONS = (
    "backup:Describe*",
    "backup:GetBackup*",
    "backup:List*",
    "cloudformation:DescribeStacks",
    "cloudwatch:Describe*",
    "cloudwatch:GetDashboard",
    "cloudwatch:ListTagsForResource",
    # Not all that EC2 describes: the data that other teams' instances start with may
    # have their secrets.
    "ec2:DescribeAddresses*",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeFlowLogs",
    "ec2:DescribeInternetGateways",
    "ec2:Describe*PrefixLists",
    "ec2:DescribeNatGateways",
    "ec2:DescribeNetwork*",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroup*",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVpc*",
    "ec2:GetManagedPrefixListEntries",
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListAliases",
    "kms:ListResourceTags",
    "logs:DescribeLogGroups",
    "logs:ListTags*",
    "rds:Describe*",
    "rds:ListTagsForResource",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetResourcePolicy",
    # Of a subscription whose ARN the planner knows: it has no resource.
    "sns:GetSubscriptionAttributes",
    "ssm:DescribeParameters",
)


def planner(place: Place) -> Document:
    """What `make plan-comment` and `make drift` read in one region: no secret and no trade.

    It changes nothing, not even a lock: both commands plan without one.
    """
    return document(*_resources(place), *_state(place))


def _resources(place: Place) -> list[Statement]:
    return [
        allow(
            "Descriptions",
            _DESCRIPTIONS,
            ["*"],
        ),
        allow(
            "Roles",
            ["iam:GetPolicy*", "iam:GetRole*", "iam:List*Polic*"],
            [place.iam(f"role/{PLATFORM}-*"), place.iam(f"policy/{PLATFORM}-*")],
        ),
        allow(
            "Buckets",
            ["s3:Get*Configuration", "s3:GetBucket*", "s3:ListBucket"],
            [place.bucket(role) for role in ("data", "code", "logs")],
        ),
        # Not all topics: the addresses of other teams' subscribers may have their secrets.
        allow(
            "Topics",
            ["sns:GetTopicAttributes", "sns:ListTagsForResource"],
            [place.arn("sns", place.name("topic", "*"))],
        ),
        allow(
            "Contract",
            ["ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"],
            [contract_parameters(place)],
        ),
        allow(
            "Service",
            ["cloudformation:GetTemplate", "cloudformation:ListStackResources"],
            [place.arn("cloudformation", f"stack/{place.service}/*")],
        ),
        allow(
            "Aliases",
            ["lambda:GetAlias", "lambda:ListAliases", "lambda:ListVersionsByFunction"],
            [service_functions(place)],
        ),
    ]


def _state(place: Place) -> list[Statement]:
    return [
        allow("StateBucket", ["s3:ListBucket"], [place.state_bucket]),
        allow("State", ["s3:GetObject"], state_objects(place)),
        allow("StateKey", ["kms:Decrypt"], [place.arn("kms", "key/*")], with_state_key(place)),
        # The table also holds the checksum of each state.
        allow("StateChecksums", ["dynamodb:GetItem"], [place.state_locks], of_own_states(place)),
    ]
