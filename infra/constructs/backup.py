"""AWS Backup of the cluster: recovery points that outlive it."""

from collections.abc import Sequence
from dataclasses import dataclass

from constructs import Construct

from infra.config.options import DatabaseConfig, Settings
from infra.config.place import Place
from infra.constructs.encryption import account_statements
from infra.constructs.iam import Statement, policy, service_role
from infra.constructs.resources import lifecycle
from infra.provider.bindings import (
    AwsProvider,
    BackupPlan,
    BackupPlanRule,
    BackupPlanRuleCopyAction,
    BackupPlanRuleCopyActionLifecycle,
    BackupPlanRuleLifecycle,
    BackupSelection,
    BackupVault,
    IamRolePolicy,
    KmsAlias,
    KmsKey,
)

_START_WINDOW_MINUTES = 60
_COMPLETION_WINDOW_MINUTES = 360
_PAUSE_MINUTES = 30


@dataclass(frozen=True)
class _Vault:
    """A vault to create; `provider` is that of its region, if it is not the stack's."""

    id_: str
    name: str
    region: str
    key_arn: str
    provider: AwsProvider | None = None


class Backup(Construct):
    """A daily backup in this region and, with `copy_provider`, a copy in that provider's region.

    A key of the other region encrypts the copy, so that it can be restored without this region.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        settings: Settings,
        cluster_arn: str,
        key_arn: str,
        copy_provider: AwsProvider | None,
    ) -> None:
        super().__init__(scope, id_)
        self._place = place
        self._protection = settings.protection
        vaults = [_Vault("vault", place.name("vault"), place.region, key_arn)]
        if copy_provider:
            vaults.append(self._copy(copy_provider))
        role = service_role(
            self, "role", name=place.name("role", "backup"), service="backup.amazonaws.com"
        )
        rights = IamRolePolicy(
            self,
            "rights",
            name="back-up-the-cluster",
            role=role.id,
            policy=policy(*self._statements(cluster_arn, vaults)),
        )
        self.vault, *copies = [self._vault(vault, rights) for vault in vaults]
        plan = self._plan(settings, [copy.arn for copy in copies])
        BackupSelection(
            self,
            "selection",
            name=place.name("backup plan"),
            plan_id=plan.id,
            iam_role_arn=role.arn,
            resources=[cluster_arn],
            depends_on=[rights],
        )

    def _vault(self, vault: _Vault, rights: IamRolePolicy) -> BackupVault:
        return BackupVault(
            self,
            vault.id_,
            provider=vault.provider,
            name=vault.name,
            kms_key_arn=vault.key_arn,
            # A destroy that must leave a snapshot must leave these backups as well.
            force_destroy=not (self._protection.prevent_destroy or self._protection.final_snapshot),
            lifecycle=lifecycle(prevent_destroy=self._protection.prevent_destroy),
            # AWS Backup deletes recovery points with the role that made them. Without its rights
            # they would stay as EXPIRED, so a destroy has to delete the vault first.
            # https://docs.aws.amazon.com/aws-backup/latest/devguide/backup-iam.html
            depends_on=[rights],
        )

    def _copy(self, provider: AwsProvider) -> _Vault:
        place, region = self._place, str(provider.region)
        key = KmsKey(
            self,
            "copy-key",
            provider=provider,
            description=f"Backups of the trading platform in {place.region}, {place.environment}",
            enable_key_rotation=True,
            deletion_window_in_days=self._protection.key_deletion_days,
            policy=policy(*account_statements(place.account, region)),
            lifecycle=lifecycle(prevent_destroy=self._protection.prevent_destroy),
        )
        KmsAlias(
            self,
            "copy-alias",
            provider=provider,
            name=place.key_alias("copy"),
            target_key_id=key.key_id,
        )
        return _Vault("copy-vault", place.name("vault", "copy"), region, key.arn, provider)

    def _plan(self, settings: Settings, copies: Sequence[str]) -> BackupPlan:
        days = settings.backup.retention_days
        return BackupPlan(
            self,
            "plan",
            name=self._place.name("backup plan"),
            rule=[
                BackupPlanRule(
                    rule_name="daily",
                    target_vault_name=self.vault.name,
                    schedule=f"cron(0 {backup_hour(settings.database)} * * ? *)",
                    start_window=_START_WINDOW_MINUTES,
                    completion_window=_COMPLETION_WINDOW_MINUTES,
                    lifecycle=BackupPlanRuleLifecycle(delete_after=days),
                    copy_action=[
                        BackupPlanRuleCopyAction(
                            destination_vault_arn=copy,
                            lifecycle=BackupPlanRuleCopyActionLifecycle(delete_after=days),
                        )
                        for copy in copies
                    ],
                )
            ],
        )

    def _statements(self, cluster_arn: str, vaults: Sequence[_Vault]) -> tuple[Statement, ...]:
        # By name: the vaults are created after the role has its rights.
        vault_arns = [
            self._place.arn("backup", f"backup-vault:{vault.name}", region=vault.region)
            for vault in vaults
        ]
        key_arns = [vault.key_arn for vault in vaults]
        # The grants of AWSBackupServiceRolePolicyForBackup for Aurora, limited to these resources:
        # https://docs.aws.amazon.com/aws-backup/latest/devguide/security-iam-awsmanpol.html
        snapshots = self._place.arn("rds", "cluster-snapshot:awsbackup:*", region="*")
        return (
            {
                "Action": ["rds:DescribeDBClusters", "rds:DescribeDBClusterSnapshots"],
                "Resource": "*",
            },
            {
                "Action": ["rds:CreateDBClusterSnapshot", "rds:ListTagsForResource"],
                "Resource": [cluster_arn, snapshots],
            },
            {
                "Action": [
                    "rds:AddTagsToResource",
                    "rds:CopyDBClusterSnapshot",
                    "rds:DeleteDBClusterSnapshot",
                    "rds:ModifyDBClusterSnapshotAttribute",
                ],
                "Resource": snapshots,
            },
            {
                # A recovery point of Aurora is a cluster snapshot, and a copy reads that.
                # https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbackup.html
                "Action": "backup:CopyFromBackupVault",
                "Resource": snapshots,
            },
            {
                "Action": ["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"],
                "Resource": vault_arns,
            },
            {
                "Action": [
                    "kms:Decrypt",
                    "kms:DescribeKey",
                    "kms:Encrypt",
                    "kms:GenerateDataKey*",
                    "kms:ReEncrypt*",
                ],
                "Resource": key_arns,
            },
            {
                "Action": "kms:CreateGrant",
                "Resource": key_arns,
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
            },
        )


def backup_hour(config: DatabaseConfig) -> int:
    """The hour, in UTC, at which a daily backup disturbs neither of the cluster's windows.

    It is the first full hour at least 30 minutes after the later window has ended. RDS refuses
    snapshots while a cluster backs itself up or is maintained.
    https://docs.aws.amazon.com/aws-backup/latest/devguide/troubleshooting.html
    """
    ends = (
        window.rpartition("-")[2] for window in (config.backup_window, config.maintenance_window)
    )
    hours_and_minutes = (end.split(":")[-2:] for end in ends)
    latest = max(int(hour) * 60 + int(minute) for hour, minute in hours_and_minutes)
    return -(-(latest + _PAUSE_MINUTES) // 60) % 24
