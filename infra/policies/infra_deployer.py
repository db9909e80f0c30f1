"""What the platform team may do to apply and destroy the data platform."""

from infra.config.naming import (
    global_name,
    key_alias,
    log_group_name,
    state_bucket_name,
    state_key_alias,
    state_lock_table_name,
)
from infra.policies.place import INFRA_DEPLOYER, Place
from infra.policies.statements import Document, allow, contract_parameters, deny, document
from shared.naming import PLATFORM, REGION_CODES


def infra_deployer(place: Place) -> Document:
    """What `make deploy-infra` and its siblings need in one region."""
    state = f"arn:aws:s3:::{state_bucket_name(place.region, place.account)}"
    here = {"StringEquals": {"aws:RequestedRegion": place.region}}
    keys = f"arn:aws:kms:*:{place.account}:key/*"
    own_log_groups = log_group_name(place.region, place.environment, "*")
    roles = place.iam(f"role/{PLATFORM}-*")
    return document(
        # A VPC's parts have no names: the region is what bounds them.
        allow(
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
        allow(
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
        allow("DatabaseLookups", ["rds:Describe*", "rds:ListTagsForResource"], ["*"], here),
        # A key has no name: its tags say whose it is.
        allow(
            "NewKeys",
            ["kms:CreateKey", "kms:TagResource"],
            ["*"],
            {"StringEquals": {"aws:RequestTag/Project": PLATFORM}},
        ),
        allow(
            "Keys",
            ["kms:*"],
            [keys],
            {"StringEquals": {"aws:ResourceTag/Project": PLATFORM}},
        ),
        allow(
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
        deny(
            "StateKeyStays",
            ["kms:*Alias", "kms:Disable*", "kms:Put*", "kms:ScheduleKeyDeletion"],
            [keys],
            {"ForAnyValue:StringEquals": {"kms:ResourceAliases": state_key_alias(place.region)}},
        ),
        allow(
            "Buckets",
            ["s3:*"],
            [
                f"{place.bucket(role)}{rest}"
                for role in ("data", "code", "logs")
                for rest in ("", "/*")
            ],
        ),
        allow(
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
                contract_parameters(place),
            ],
        ),
        allow(
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
        allow(
            "RolesAndPolicies",
            ["iam:*Policy", "iam:*PolicyVersion*", "iam:*Role", "iam:*RolePolic*", "iam:List*"],
            [roles, place.iam(f"policy/{PLATFORM}-*")],
        ),
        # To attach what is not the platform's own would be a way to more rights.
        deny(
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
        deny("NoOtherIdentity", ["sts:AssumeRole"], [roles]),
        deny(
            "NoOwnPolicy",
            ["iam:*"],
            [place.iam(f"policy/{PLATFORM}-{INFRA_DEPLOYER}-*")],
        ),
        deny(
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
        allow(
            "ServiceLinkedRoles",
            ["iam:CreateServiceLinkedRole"],
            [place.iam("role/aws-service-role/*")],
            {"StringEquals": {"iam:AWSServiceName": ["backup.amazonaws.com", "rds.amazonaws.com"]}},
        ),
        allow("StateBucket", ["s3:ListBucket"], [state]),
        allow(
            "State",
            ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            [f"{state}/{place.platform}/*", f"{state}/env:/*/{place.platform}/*"],
        ),
        allow(
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
