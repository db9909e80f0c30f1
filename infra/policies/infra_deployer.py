"""What the platform team may do to apply and destroy the data platform."""

from infra.config.naming import key_alias
from infra.config.place import Place
from infra.policies.statements import (
    Document,
    Statement,
    allow,
    contract_parameters,
    deny,
    document,
    in_region,
    state_objects,
    with_state_key,
)
from shared.naming import PLATFORM, REGION_CODES

INFRA_DEPLOYER = "infra-deployer"


def infra_deployer(place: Place) -> Document:
    """What `make deploy-infra` and its siblings need in one region."""
    return document(
        _network(place),
        *_database(place),
        *_keys(place),
        *_resources_by_name(place),
        _lookups(),
        *_roles_and_policies(place),
        *_state(place),
    )


def _network(place: Place) -> Statement:
    # The parts of a VPC have no names, so the region bounds them.
    return allow(
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
            "ec2:De*NetworkInterface",
            "ec2:Describe*",
            "ec2:GetManagedPrefixListEntries",
        ],
        ["*"],
        in_region(place),
    )


def _database(place: Place) -> list[Statement]:
    return [
        allow(
            "Database",
            ["rds:*"],
            [
                place.arn("rds", f"*:{place.platform}*"),
                # A global database has no region.
                place.arn("rds", f"global-cluster:{place.global_name}", region=""),
                # An instance names its option group and its parameter group. The defaults are for
                # a database that is restored by hand.
                # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/security_iam_id-based-policy-examples-create-and-modify-examples.html
                *(place.arn("rds", f"{kind}:default*") for kind in ("og", "pg")),
                # AWS names proxies and their parts.
                *(place.arn("rds", f"{kind}:*") for kind in ("db-proxy*", "target-group")),
            ],
        ),
        allow("Databases", ["rds:Describe*", "rds:ListTagsForResource"], ["*"], in_region(place)),
    ]


def _keys(place: Place) -> list[Statement]:
    keys = place.arn("kms", "key/*", region="*")
    return [
        # A key has no name; its tags say whose it is.
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
                # The primary region of a global database creates the keys of all its regions.
                *(
                    place.arn("kms", key_alias(region, place.environment), region=region)
                    for region in REGION_CODES
                ),
                place.arn("kms", key_alias("*", place.environment, "copy"), region="*"),
            ],
        ),
        deny(
            "StateKeyStays",
            ["kms:*Alias", "kms:Disable*", "kms:Put*", "kms:ScheduleKeyDeletion"],
            [keys],
            with_state_key(place),
        ),
    ]


def _resources_by_name(place: Place) -> list[Statement]:
    return [
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
            "OwnNames",
            ["backup:*", "cloudwatch:*", "logs:*", "secretsmanager:*", "sns:*", "ssm:*"],
            [
                # Copies of backups are in another region, and so is their key.
                place.arn("backup", f"backup-vault:{PLATFORM}-*", region="*"),
                place.arn("backup", "backup-plan:*"),
                # What a vault holds has the ARN of what it was made of: of a snapshot of Aurora.
                place.arn("rds", "cluster-snapshot:awsbackup:*", region="*"),
                place.arn("cloudwatch", f"alarm:{PLATFORM}-*"),
                place.arn("cloudwatch", f"dashboard/{PLATFORM}-*", region=""),
                place.arn("logs", f"log-group:/aws/rds/cluster/{place.platform}/*"),
                place.arn("logs", f"log-group:/aws/rds/proxy/{place.platform}*"),
                place.arn("logs", f"log-group:{place.log_group('*')}"),
                place.arn("secretsmanager", f"secret:{place.platform}*"),
                # The secrets of a global database have replicas in other regions.
                place.arn("secretsmanager", f"secret:{place.global_name}/*", region="*"),
                place.arn("secretsmanager", "secret:rds!cluster-*"),
                place.arn("sns", f"{PLATFORM}-*"),
                contract_parameters(place),
            ],
        ),
    ]


def _lookups() -> Statement:
    # These actions have no resource, or create what has no name yet.
    return allow(
        "Lookups",
        [
            "backup-storage:MountCapsule",
            "backup:List*",
            "cloudformation:DescribeStacks",
            "cloudwatch:Describe*",
            "cloudwatch:ListTagsForResource",
            "logs:*LogDelivery",
            "logs:Describe*",
            "secretsmanager:GetRandomPassword",
            "sns:*SubscriptionAttributes",
            "sns:Unsubscribe",
            "kms:ListAliases",
            "ssm:DescribeParameters",
        ],
        ["*"],
    )


_MONITORING = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
_ROLES_ARE_FOR = (
    "backup.amazonaws.com",
    "monitoring.rds.amazonaws.com",
    "rds.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
)


def _roles_and_policies(place: Place) -> list[Statement]:
    roles, policies = place.iam(f"role/{PLATFORM}-*"), place.iam(f"policy/{PLATFORM}-*")
    return [
        allow(
            "Roles",
            ["iam:*Polic*", "iam:*Role*"],
            [roles, policies],
        ),
        # There are three ways to more rights: to attach a foreign policy to a role of the
        # platform, …
        deny(
            "NoForeignPolicies",
            ["iam:AttachRolePolicy"],
            ["*"],
            {"ArnNotLike": {"iam:PolicyARN": [policies, _MONITORING]}},
        ),
        # … to assume such a role, …
        deny("NoOtherIdentity", ["sts:AssumeRole"], [roles]),
        # … and to change this policy.
        deny("NoOwnPolicy", ["iam:*"], [place.iam(f"policy/{PLATFORM}-{INFRA_DEPLOYER}-*")]),
        deny(
            "PassedRoles",
            ["iam:PassRole"],
            ["*"],
            {"StringNotEquals": {"iam:PassedToService": list(_ROLES_ARE_FOR)}},
        ),
        allow(
            "LinkedRoles",
            ["iam:CreateServiceLinkedRole"],
            [place.iam("role/aws-service-role/*")],
            {"StringEquals": {"iam:AWSServiceName": ["backup.amazonaws.com", "rds.amazonaws.com"]}},
        ),
    ]


def _state(place: Place) -> list[Statement]:
    return [
        # A deploy checks that the bootstrap has given API Gateway its role.
        allow("ApiLogsRole", ["apigateway:GET"], [f"arn:aws:apigateway:{place.region}::/account"]),
        allow("StateBucket", ["s3:ListBucket"], [place.state_bucket]),
        allow("State", ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], state_objects(place)),
        allow(
            "StateLocks",
            ["dynamodb:DescribeTable", "dynamodb:*Item"],
            [place.state_locks],
        ),
    ]
