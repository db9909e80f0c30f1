"""Finds vaults of AWS Backup that cannot go, because they hold recovery points."""

from collections.abc import Iterator

import boto3

from infra.config.environment import EnvironmentConfig
from infra.config.naming import resource_name
from infra.gate.changes import Plan, plan_changes
from infra.gate.obstacles import Obstacle
from shared.cli.aws import AWS_ERRORS, BRIEFLY

_VAULT = "aws_backup_vault"


def full_vaults(plan: Plan) -> Iterator[Obstacle]:
    """The address of each vault that a plan deletes although it holds recovery points.

    AWS deletes no such vault. With `force_destroy`, Terraform deletes the recovery points first.
    https://docs.aws.amazon.com/aws-backup/latest/devguide/API_DeleteBackupVault.html
    """
    for change in plan_changes(plan):
        if change.type != _VAULT or not change.goes or change.before.get("force_destroy"):
            continue
        region = str(change.before["arn"]).split(":")[3]
        if points := recovery_points(change.before["name"], region):
            yield (
                change.address,
                f"it holds recovery points ({points}), and AWS deletes no such vault; take "
                "the edit back, or first deploy with final_snapshot = false under [protection] "
                "alone, which lets a deploy delete them",
            )


def kept_vaults(environment: EnvironmentConfig) -> Iterator[str]:
    """What to say of each vault that stops a destroy, as words.

    A vault of an environment without `final_snapshot` goes with its recovery points.
    """
    if not environment.settings.protection.final_snapshot:
        return
    for each in environment.regions:
        for role, region in (("", each.region), ("copy", each.copy_region)):
            vault = resource_name("vault", each.region, environment.suffix, role)
            if points := recovery_points(vault, region):
                yield (
                    f"the vault {vault} in {region} holds recovery points ({points}) and stays, "
                    "with its key: this destroy ends there with an error. Run it again when they "
                    "have expired or are deleted"
                )


def recovery_points(vault: str, region: str) -> int:
    """The number of recovery points in a vault; 0 if there is no vault, or AWS does not say."""
    client = boto3.client("backup", region_name=region, config=BRIEFLY)
    try:
        return int(client.describe_backup_vault(BackupVaultName=vault)["NumberOfRecoveryPoints"])
    except AWS_ERRORS:
        return 0
