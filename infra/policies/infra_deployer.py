"""What the platform team may do to apply and destroy the data platform."""

from collections.abc import Mapping

from infra.config.naming import APP_USER, key_alias
from infra.config.place import Place
from infra.policies.statements import (
    Document,
    Statement,
    allow,
    contract_parameters,
    deny,
    document,
    in_region,
    of_own_states,
    state_objects,
    with_any_state_key,
)
from shared.naming import PLATFORM, REGION_CODES

INFRA_DEPLOYER = "infra-deployer"
INFRA_DEPLOYER_ACCESS = "infra-deployer-access"

_PROJECT = "aws:ResourceTag/Project"
# RDS tags the secrets of master users.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html
_CLUSTER = "aws:ResourceTag/aws:rds:primaryDBClusterArn"


def infra_deployer(place: Place) -> Document:
    """The resources that `make deploy-infra` and its siblings work on in one region.

    Attach it with `infra_deployer_access`. One managed policy is too short for both.
    """
    return document(
        _network(place),
        *_database(place),
        *_resources_by_name(place),
        _lookups(),
        _other_environments_denied(place),
    )


def infra_deployer_access(place: Place) -> Document:
    """The keys, roles, policies and states that belong to these resources."""
    return document(*_keys(place), *_roles_and_policies(place), *_state(place))


def _other_environments_denied(place: Place) -> Statement:
    """Denies what has another environment's tags, even if a pattern of names would allow it.

    The names of `dev-2` begin like those of `dev`, and parts of a VPC have no names. Terraform tags
    all that it creates.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_iam-tags.html
    """
    return deny(
        "OtherEnvironments",
        ["*"],
        ["*"],
        {
            "StringEquals": {"aws:ResourceTag/Project": PLATFORM},
            "StringNotEquals": {"aws:ResourceTag/Environment": place.environment},
            # The states of all environments share a key, which has no such tag.
            "Null": {"aws:ResourceTag/Environment": "false"},
        },
    )


def _tagged_first(*absent: str) -> Mapping[str, object]:
    """The condition that a request tags what has no owner yet, and none of the keys `absent`."""
    return {
        "StringEquals": {"aws:RequestTag/Project": PLATFORM},
        "Null": dict.fromkeys((_PROJECT, *absent), "true"),
    }


def _network(place: Place) -> Statement:
    # The parts of a VPC have no names, so the region bounds them. Network ACLs are not among them:
    # AWS makes one with each VPC, without the tags that would tell whose it is.
    return allow(
        "Network",
        [
            "ec2:*Address*",
            "ec2:*FlowLogs",
            "ec2:*InternetGateway*",
            "ec2:*NatGateway*",
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
                place.arn("rds", f"*:{place.platform}"),
                # Instances, snapshots, and a restored cluster.
                place.arn("rds", f"*:{place.platform}-*"),
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
        # A key has no name; its tags say whose it is. A key that has an owner or an alias already
        # cannot be tagged into the platform's hands.
        allow(
            "NewKeys",
            ["kms:CreateKey", "kms:TagResource"],
            ["*"],
            _tagged_first("kms:ResourceAliases"),
        ),
        allow(
            "Keys",
            ["kms:*"],
            [keys],
            {"StringEquals": {_PROJECT: PLATFORM}},
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
            # With a tag of this environment, it would be another environment's no more.
            [
                "kms:*Alias",
                "kms:*agResource",
                "kms:Disable*",
                "kms:Put*",
                "kms:RevokeGrant",
                "kms:RotateKeyOnDemand",
                "kms:ScheduleKeyDeletion",
                "kms:Update*",
            ],
            [keys],
            with_any_state_key(),
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
                *(
                    place.arn("backup", f"backup-vault:{name}", region="*")
                    for name in (place.name("vault"), place.name("vault", "copy"))
                ),
                place.arn("cloudwatch", f"alarm:{place.name('alarm', '*')}"),
                place.arn("cloudwatch", f"dashboard/{place.name('dashboard')}", region=""),
                place.arn("logs", f"log-group:/aws/rds/cluster/{place.platform}/*"),
                *(
                    place.arn("logs", f"log-group:/aws/rds/proxy/{place.platform}{streams}")
                    for streams in ("", ":*")
                ),
                place.arn("logs", f"log-group:{place.log_group('*')}"),
                place.arn("secretsmanager", f"secret:{place.platform}/*"),
                # The secrets of a global database have replicas in other regions.
                place.arn("secretsmanager", f"secret:{place.global_name}/*", region="*"),
                place.arn("sns", place.name("topic", "*")),
                contract_parameters(place),
            ],
        ),
        *_contents(place),
        *_backups(place),
        *_master_secrets(place),
    ]


def _contents(place: Place) -> list[Statement]:
    # Terraform makes the buckets and secrets, and empties buckets that it destroys. What is in them
    # is the service's, except the master user of a global database: Terraform generates it.
    return [
        deny(
            "ContentsOfBuckets",
            ["s3:GetObject*", "s3:PutObject*", "s3:RestoreObject"],
            [f"{place.bucket(role)}/*" for role in ("data", "code")],
        ),
        deny(
            "ContentsOfSecrets",
            ["secretsmanager:*SecretValue", "secretsmanager:PutResourcePolicy"],
            [
                place.arn("secretsmanager", f"secret:{place.platform}/*"),
                place.arn("secretsmanager", f"secret:{place.global_name}/*{APP_USER}*", region="*"),
            ],
        ),
    ]


def _master_secrets(place: Place) -> list[Statement]:
    # RDS names the master user's secret, and creates and rotates it for its caller. The rights
    # do not include its value.
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html
    secrets = place.arn("secretsmanager", "secret:rds!cluster-*")
    return [
        allow(
            "MasterSecrets",
            [
                f"secretsmanager:{verb}"
                for verb in ("CreateSecret", "DescribeSecret", "RotateSecret", "TagResource")
            ],
            [secrets],
        ),
        deny(
            "MasterSecretsOfOthers",
            ["secretsmanager:*"],
            [secrets],
            {
                "StringNotEquals": {
                    _CLUSTER: [
                        place.arn("rds", f"cluster:{place.platform}{role}")
                        # The names of the runbook for a restore.
                        for role in ("", "-restored", "-damaged")
                    ]
                },
                "Null": {_CLUSTER: "false"},
            },
        ),
    ]


def _backups(place: Place) -> list[Statement]:
    # AWS Backup names plans, and what a vault holds has the ARN of what it was made of: of a
    # snapshot of Aurora. Tags say whose they are: backups and their copies have the cluster's.
    # https://docs.aws.amazon.com/aws-backup/latest/devguide/tags-on-backups.html
    plans = place.arn("backup", "backup-plan:*")
    return [
        allow(
            "NewBackupPlans",
            ["backup:CreateBackupPlan", "backup:TagResource"],
            [plans],
            _tagged_first(),
        ),
        allow(
            "Backups",
            ["backup:*"],
            [plans, place.arn("rds", "cluster-snapshot:awsbackup:*", region="*")],
            {"StringEquals": {_PROJECT: PLATFORM}},
        ),
    ]


def _lookups() -> Statement:
    # These actions have no resource, or create what has no name yet.
    return allow(
        "Lookups",
        [
            "backup-storage:MountCapsule",
            "backup:DescribeRegionSettings",
            "backup:List*",
            "cloudformation:DescribeStacks",
            "cloudwatch:Describe*",
            "cloudwatch:GetMetricStatistics",
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
    roles = place.iam(f"role/{place.name('role', '*')}")
    policies = place.iam(f"policy/{place.name('policy', '*')}")
    return [
        allow("Roles", ["iam:*Polic*", "iam:*Role*"], [roles, policies]),
        # There are three ways to more rights: to attach a foreign policy to a role of the
        # platform, …
        deny(
            "NoForeignPolicies",
            ["iam:AttachRolePolicy"],
            [roles],
            {"ArnNotLike": {"iam:PolicyARN": [policies, _MONITORING]}},
        ),
        # … to assume such a role, of any environment, …
        deny("NoOtherIdentity", ["sts:AssumeRole"], [place.iam(f"role/{PLATFORM}-*")]),
        # … and to change these policies.
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
        allow("StateLockTable", ["dynamodb:DescribeTable"], [place.state_locks]),
        allow("StateLocks", ["dynamodb:*Item"], [place.state_locks], of_own_states(place)),
    ]
