"""AWS Backup of the cluster: recovery points that outlive it."""

from constructs import Construct

from infra.config.environment import BackupConfig, ProtectionConfig, RegionConfig
from infra.config.naming import key_alias, resource_name
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

# Daily, in UTC, after the cluster's own backup and its maintenance.
_SCHEDULE = "cron(0 10 * * ? *)"
_START_WINDOW_MINUTES = 60
_COMPLETION_WINDOW_MINUTES = 360


class Backup(Construct):
    """A daily plan into a vault of this region and, with `copy_provider`, a copy in another one.

    The copy is under a key of the other region, so that it can be restored without this one.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: BackupConfig,
        protection: ProtectionConfig,
        region: RegionConfig,
        environment: str,
        account: str,
        cluster_arn: str,
        key_arn: str,
        copy_provider: AwsProvider | None,
    ) -> None:
        super().__init__(scope, id_)
        self._protection = protection
        self._region = region
        self._environment = environment
        name = resource_name("vault", region.region, environment)
        self.vault = self._vault("vault", name, key_arn)
        self._vault_arns = [self.vault.arn]
        self._key_arns = [key_arn]
        if copy_provider:
            self._add_copy_vault(account, copy_provider)
        plan = self._plan(config)
        role = service_role(
            self,
            "role",
            name=resource_name("role", region.region, environment, "backup"),
            service="backup.amazonaws.com",
        )
        rights = IamRolePolicy(
            self,
            "rights",
            name="back-up-the-cluster",
            role=role.id,
            policy=policy(*self._statements(account, cluster_arn)),
        )
        BackupSelection(
            self,
            "selection",
            name=resource_name("backup plan", region.region, environment),
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

    def _add_copy_vault(self, account: str, provider: AwsProvider) -> None:
        region, copy_region = self._region.region, self._region.copy_region
        key = KmsKey(
            self,
            "copy-key",
            provider=provider,
            description=f"Backups of the trading platform in {region}, {self._environment}",
            enable_key_rotation=True,
            deletion_window_in_days=self._protection.key_deletion_days,
            policy=policy(*account_statements(account, copy_region)),
            lifecycle=lifecycle(prevent_destroy=self._protection.prevent_destroy),
        )
        KmsAlias(
            self,
            "copy-alias",
            provider=provider,
            name=key_alias(region, self._environment, "copy"),
            target_key_id=key.key_id,
        )
        name = resource_name("vault", region, self._environment, "copy")
        self._vault_arns.append(self._vault("copy-vault", name, key.arn, provider).arn)
        self._key_arns.append(key.arn)

    def _plan(self, config: BackupConfig) -> BackupPlan:
        _, *copies = self._vault_arns
        return BackupPlan(
            self,
            "plan",
            name=resource_name("backup plan", self._region.region, self._environment),
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

    def _statements(self, account: str, cluster_arn: str) -> tuple[Statement, ...]:
        # What AWSBackupServiceRolePolicyForBackup grants for Aurora, on these resources alone:
        # https://docs.aws.amazon.com/aws-backup/latest/devguide/security-iam-awsmanpol.html
        snapshots = f"arn:aws:rds:*:{account}:cluster-snapshot:awsbackup:*"
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
