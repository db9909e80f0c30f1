"""AWS Backup of the cluster: recovery points that outlive it."""

from constructs import Construct

from infra.config.environment import BackupConfig, Settings
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

# Daily, in UTC, after the cluster's own backup and maintenance windows.
_SCHEDULE = "cron(0 10 * * ? *)"
_START_WINDOW_MINUTES = 60
_COMPLETION_WINDOW_MINUTES = 360


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
        self.vault = self._vault("vault", place.name("vault"), key_arn)
        self._vault_arns = [self.vault.arn]
        self._key_arns = [key_arn]
        if copy_provider:
            self._add_copy_vault(copy_provider)
        plan = self._plan(settings.backup)
        role = service_role(
            self,
            "role",
            name=place.name("role", "backup"),
            service="backup.amazonaws.com",
        )
        rights = IamRolePolicy(
            self,
            "rights",
            name="back-up-the-cluster",
            role=role.id,
            policy=policy(*self._statements(cluster_arn)),
        )
        BackupSelection(
            self,
            "selection",
            name=place.name("backup plan"),
            plan_id=plan.id,
            iam_role_arn=role.arn,
            resources=[cluster_arn],
            depends_on=[rights],
        )

    def _vault(
        self, id_: str, name: str, key_arn: str, provider: AwsProvider | None = None
    ) -> BackupVault:
        return BackupVault(
            self,
            id_,
            provider=provider,
            name=name,
            kms_key_arn=key_arn,
            force_destroy=not self._protection.prevent_destroy,
            lifecycle=lifecycle(prevent_destroy=self._protection.prevent_destroy),
        )

    def _add_copy_vault(self, provider: AwsProvider) -> None:
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
        name = place.name("vault", "copy")
        self._vault_arns.append(self._vault("copy-vault", name, key.arn, provider).arn)
        self._key_arns.append(key.arn)

    def _plan(self, config: BackupConfig) -> BackupPlan:
        _, *copies = self._vault_arns
        return BackupPlan(
            self,
            "plan",
            name=self._place.name("backup plan"),
            rule=[
                BackupPlanRule(
                    rule_name="daily",
                    target_vault_name=self.vault.name,
                    schedule=_SCHEDULE,
                    start_window=_START_WINDOW_MINUTES,
                    completion_window=_COMPLETION_WINDOW_MINUTES,
                    lifecycle=BackupPlanRuleLifecycle(delete_after=config.retention_days),
                    copy_action=[
                        BackupPlanRuleCopyAction(
                            destination_vault_arn=copy,
                            lifecycle=BackupPlanRuleCopyActionLifecycle(
                                delete_after=config.retention_days
                            ),
                        )
                        for copy in copies
                    ],
                )
            ],
        )

    def _statements(self, cluster_arn: str) -> tuple[Statement, ...]:
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
                "Action": ["backup:CopyIntoBackupVault", "backup:DescribeBackupVault"],
                "Resource": self._vault_arns,
            },
            {
                "Action": [
                    "kms:Decrypt",
                    "kms:DescribeKey",
                    "kms:Encrypt",
                    "kms:GenerateDataKey*",
                    "kms:ReEncrypt*",
                ],
                "Resource": self._key_arns,
            },
            {
                "Action": "kms:CreateGrant",
                "Resource": self._key_arns,
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
            },
        )
