"""AWS resource names, with AWS's limits on their length."""

from shared.naming import PLATFORM, REGION_CODES

# The database user that the service works as. The service reads it as DatabaseAppUser.
APP_USER = "trade_app"

# Longest name that AWS takes, in characters, for each kind of resource named here.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/CHAP_Limits.html
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
# https://docs.aws.amazon.com/aws-backup/latest/devguide/API_CreateBackupVault.html
_MAX_LENGTH = {
    "alarm": 255,
    "alias": 256,
    "backup plan": 50,
    "bucket": 63,
    "cluster": 63,
    "dashboard": 255,
    "global cluster": 63,
    "log group": 512,
    "parameter group": 255,
    "policy": 128,
    "proxy": 60,
    "role": 64,
    "security group": 255,
    "subnet group": 255,
    "table": 255,
    "topic": 256,
    "vault": 50,
}

# Stands for the account number, which is known to Terraform alone.
_ACCOUNT = "${account}"
_ACCOUNT_LENGTH = 12


def resource_name(kind: str, region: str, environment: str, role: str = "") -> str:
    """The name of a resource, unique in its account: `trading-platform[-role]-useast1-dev`.

    Raises:
        ValueError: AWS would not take the name, because it is too long for that kind.
    """
    parts = [PLATFORM, role, REGION_CODES[region], environment]
    return _checked(kind, "-".join(part for part in parts if part))


def global_name(environment: str) -> str:
    """The name of the global database that regions share: `trading-platform-global-dev`."""
    return _checked("global cluster", f"{PLATFORM}-global-{environment}")


def bucket_name(region: str, environment: str, role: str, account: str) -> str:
    """The name of a bucket; the account number in it makes it globally unique.

    `account` may be a Terraform expression, and counts as 12 characters.
    """
    name = resource_name("bucket", region, environment, f"{role}-{_ACCOUNT}")
    _checked("bucket", name.replace(_ACCOUNT, "0" * _ACCOUNT_LENGTH))
    return name.replace(_ACCOUNT, account)


def key_alias(region: str, environment: str, role: str = "") -> str:
    """The KMS alias, such as `alias/trading-us-east-1-dev`."""
    parts = ["alias/trading", role, region, environment]
    return _checked("alias", "-".join(part for part in parts if part))


def log_group_name(region: str, environment: str, role: str) -> str:
    """The name of a log group, such as `/trading-platform/useast1-dev/flow-logs`."""
    return _checked("log group", f"/{PLATFORM}/{REGION_CODES[region]}-{environment}/{role}")


def state_stack_name(region: str) -> str:
    """The stack that keeps Terraform's states of a region: `trading-platform-state-useast1`."""
    return f"{PLATFORM}-state-{REGION_CODES[region]}"


def state_bucket_name(region: str, account: str) -> str:
    """The bucket of Terraform's states of a region, for all environments of an account."""
    return bucket_name(region, "", "state", account)


def state_lock_table_name(region: str) -> str:
    """The DynamoDB table of Terraform's state locks of a region."""
    return resource_name("table", region, "", "state-locks")


def state_key(stack: str) -> str:
    """The key of a stack's state in the state bucket."""
    return f"{stack}/terraform.tfstate"


def state_key_alias(region: str) -> str:
    """The alias of the KMS key that encrypts Terraform's states of a region."""
    return f"alias/{state_stack_name(region)}"


def pipelines_stack_name(environment: str) -> str:
    """The stack of the roles that an environment's pipelines take."""
    return f"{PLATFORM}-pipelines-{environment}"


def pipeline_role_name(environment: str, role: str) -> str:
    """The name of such a role, such as `trading-platform-dev-planner`."""
    return _checked("role", f"{PLATFORM}-{environment}-{role}")


def _checked(kind: str, name: str) -> str:
    if len(name) > _MAX_LENGTH[kind]:
        raise ValueError(f"{kind} name {name!r} has more than {_MAX_LENGTH[kind]} characters")
    return name
