"""Checks that AWS Backup is allowed to back up Aurora, which each account decides per region."""

import boto3

from infra.config.environment import EnvironmentConfig
from shared.cli.aws import answering
from shared.cli.errors import UserError

# What AWS Backup calls a type of resource.
_AURORA = "Aurora"


def check_backups(environment: EnvironmentConfig) -> None:
    """Do nothing if the environment has no backup plan, or each region's account has opted in.

    Without the opt-in, AWS Backup starts no job, and so none fails.
    https://docs.aws.amazon.com/aws-backup/latest/devguide/API_DescribeRegionSettings.html

    Raises:
        UserError: a region has not opted in, or AWS does not answer.
    """
    if not environment.settings.backup.plan:
        return
    for each in environment.regions:
        with answering(each.region):
            client = boto3.client("backup", region_name=each.region)
            settings = client.describe_region_settings()["ResourceTypeOptInPreference"]
        if settings.get(_AURORA) is False:
            raise UserError(
                f"[backup] plan: AWS Backup makes no backups of Aurora in {each.region}, because "
                "the account has not opted in: run `aws backup update-region-settings --region "
                f"{each.region} --resource-type-opt-in-preference {_AURORA}=true`"
            )
