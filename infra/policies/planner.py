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


def planner(place: Place) -> Document:
    """What `make plan-comment` and `make drift` read in one region: no secret and no trade.

    It changes nothing, not even a lock: both commands plan without one.
    """
    return document(*_resources(place), *_state(place))


def _resources(place: Place) -> list[Statement]:
    return [
        allow(
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
        allow(
            "Contract",
            ["ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"],
            [contract_parameters(place)],
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
