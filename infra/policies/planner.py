"""What a plan and a drift report may read."""

from infra.config.naming import state_bucket_name, state_key_alias, state_lock_table_name
from infra.policies.place import SERVICE, Place
from infra.policies.statements import Document, allow, contract_parameters, document
from shared.naming import PLATFORM


def planner(place: Place) -> Document:
    """What `make plan-comment` and `make drift` read in one region: no secret, and no trade.

    It changes nothing, not even locks: they plan without one.
    """
    state = f"arn:aws:s3:::{state_bucket_name(place.region, place.account)}"
    buckets = [place.bucket(role) for role in ("data", "code", "logs")]
    return document(
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
        allow("Buckets", ["s3:Get*Configuration", "s3:GetBucket*", "s3:ListBucket"], buckets),
        allow(
            "Contract",
            ["ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"],
            [contract_parameters(place)],
        ),
        allow(
            "Aliases",
            ["lambda:GetAlias", "lambda:ListAliases", "lambda:ListVersionsByFunction"],
            [place.arn("lambda", f"function:{SERVICE}-*")],
        ),
        allow("StateBucket", ["s3:ListBucket"], [state]),
        allow(
            "State",
            ["s3:GetObject"],
            [f"{state}/{place.platform}/*", f"{state}/env:/*/{place.platform}/*"],
        ),
        allow(
            "StateKey",
            ["kms:Decrypt"],
            [place.arn("kms", "key/*")],
            {"ForAnyValue:StringEquals": {"kms:ResourceAliases": state_key_alias(place.region)}},
        ),
        # The table also has the checksum of each state.
        allow(
            "StateChecksums",
            ["dynamodb:GetItem"],
            [place.arn("dynamodb", f"table/{state_lock_table_name(place.region)}")],
        ),
    )
