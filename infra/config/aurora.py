"""What Aurora MySQL accepts: its versions, and the names that it keeps for itself."""

import re
from pathlib import Path

from infra.config.naming import APP_USER

# The versions of Aurora MySQL 3 that AWS offers for new clusters, as cfn-lint lists them (its data
# files `aws_rds_dbcluster/engine_version.json`, without those of `engine_version_deprecated.json`).
# A test compares this list with the installed cfn-lint.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraMySQLReleaseNotes/AuroraMySQL.Updates.30Updates.html
_PREFIX = "8.0.mysql_aurora."
ENGINE_VERSIONS = tuple(
    f"{_PREFIX}{version}"
    for version in (
        *("3.04.0", "3.04.1", "3.04.2", "3.04.3", "3.04.4", "3.04.6"),
        *("3.08.0", "3.08.1", "3.08.2"),
        "3.09.0",
        *("3.10.0", "3.10.1", "3.10.2", "3.10.3", "3.10.4", "3.10.5", "3.10.6"),
        "3.11.1",
        "3.12.0",
        "3.13.0",
    )
)
# The newest patch of the newest version with long-term support.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraMySQLReleaseNotes/AuroraMySQL.Updates.Versions.html
LTS_VERSION = f"{_PREFIX}3.10.6"
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
SCALES_TO_ZERO_FROM = f"{_PREFIX}3.08.0"

# MySQL's own schemas, and one of Aurora.
# https://dev.mysql.com/doc/refman/8.0/en/system-schema.html
SYSTEM_SCHEMAS = frozenset({"information_schema", "innodb", "mysql", "performance_schema", "sys"})

# Users and roles that RDS and Aurora create, and the service's own user: its migration would change
# the master user's password.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.privilege-model.html
RESERVED_USERS = frozenset(
    {
        "aws_bedrock_access",
        "aws_comprehend_access",
        "aws_lambda_access",
        "aws_load_s3_access",
        "aws_sagemaker_access",
        "aws_select_s3_access",
        "mysql",
        "rds_superuser_role",
        "rdsadmin",
        "rdsproxyadmin",
        "rdsrepladmin",
        "rdstopmgr",
        APP_USER,
    }
)


def version_number(engine_version: str) -> tuple[int, ...]:
    """A version that can be compared: `8.0.mysql_aurora.3.10.0` is (8, 0, 3, 10, 0)."""
    return tuple(int(part) for part in re.findall("[0-9]+", engine_version))


# https://dev.mysql.com/doc/refman/8.0/en/keywords.html
RESERVED_WORDS = frozenset(Path(__file__).with_name("mysql_reserved_words.txt").read_text().split())
