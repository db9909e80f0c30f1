"""The Aurora MySQL cluster and the secrets of its users."""

from collections.abc import Mapping
from typing import Any

from constructs import Construct

from infra.config.environment import DatabaseConfig, ProtectionConfig
from infra.config.naming import resource_name
from infra.constructs.global_database import GlobalDatabase
from infra.constructs.iam import service_role
from infra.constructs.logs import encrypted_log_group
from infra.constructs.resources import accept, lifecycle
from infra.provider.bindings import (
    DataAwsSecretsmanagerSecret,
    DbSubnetGroup,
    Fn,
    IamRolePolicyAttachment,
    RdsCluster,
    RdsClusterInstance,
    RdsClusterParameterGroup,
    RdsClusterParameterGroupParameter,
    RdsClusterServerlessv2ScalingConfiguration,
    SecretsmanagerSecret,
    SecurityGroup,
)

PORT = 3306

# All are dynamic: a change needs no restart.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Reference.ParameterGroups.html
_PARAMETERS = {
    "character_set_server": "utf8mb4",
    "collation_server": "utf8mb4_0900_ai_ci",
    "require_secure_transport": "ON",
    "time_zone": "UTC",
    # What the log exports below have to export.
    "server_audit_events": "CONNECT,QUERY_DCL,QUERY_DDL",
    "server_audit_logging": "1",
    "slow_query_log": "1",
    "long_query_time": "1",
}
# A failover turns the direction of the replication; upgrades go through the global cluster.
# https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/rds_global_cluster
_CHANGED_BY_THE_GLOBAL_DATABASE = ("replication_source_identifier", "engine_version")
_APP_USER = "trade_app"
_APP_SECRET = "User trade_app of the trade database; value set by the migration"  # noqa: S105
_LOG_EXPORTS = ("audit", "error", "slowquery")


class Database(Construct):
    """One writer and a number of readers in the private subnets, given by zone.

    RDS makes and keeps the master user's password, in Secrets Manager. The application user's
    secret is made here without a value: the service's migration creates the user and sets it. Of a
    global database, both secrets are the global database's.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: DatabaseConfig,
        protection: ProtectionConfig,
        region: str,
        environment: str,
        account: str,
        subnet_ids: Mapping[str, str],
        security_group: SecurityGroup,
        key_arn: str,
        log_retention_days: int,
        global_database: GlobalDatabase | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self.config = config
        self._key_arn = key_arn
        self._global_database = global_database
        self.cluster_identifier = resource_name("cluster", region, environment)
        subnet_group = DbSubnetGroup(
            self,
            "subnet-group",
            name=resource_name("subnet group", region, environment),
            description="Private subnets of the trading platform",
            subnet_ids=list(subnet_ids.values()),
        )
        parameter_group = RdsClusterParameterGroup(
            self,
            "parameter-group",
            name=resource_name("parameter group", region, environment),
            description="TLS only, utf8mb4, UTC, audited",
            family="aurora-mysql8.0",
            parameter=[
                RdsClusterParameterGroupParameter(name=name, value=value)
                for name, value in _PARAMETERS.items()
            ],
        )
        # Made before RDS makes them, unencrypted and for ever.
        log_groups = [
            encrypted_log_group(
                self,
                f"{log}-log-group",
                name=f"/aws/rds/cluster/{self.cluster_identifier}/{log}",
                key_arn=key_arn,
                retention_days=log_retention_days,
            )
            for log in _LOG_EXPORTS
        ]
        self.cluster = RdsCluster(
            self,
            "cluster",
            cluster_identifier=self.cluster_identifier,
            engine="aurora-mysql",
            engine_version=config.engine_version,
            **(
                global_database.cluster_arguments
                if global_database
                else {
                    "database_name": config.name,
                    "master_username": config.master_username,
                    "manage_master_user_password": True,
                    "master_user_secret_kms_key_id": key_arn,
                }
            ),
            iam_database_authentication_enabled=True,
            storage_encrypted=True,
            kms_key_id=key_arn,
            db_subnet_group_name=subnet_group.name,
            db_cluster_parameter_group_name=parameter_group.name,
            vpc_security_group_ids=[security_group.id],
            enabled_cloudwatch_logs_exports=list(_LOG_EXPORTS),
            serverlessv2_scaling_configuration=_scaling(config),
            # These backups are what point-in-time recovery goes back to.
            backup_retention_period=config.backup_retention_days,
            preferred_backup_window=config.backup_window,
            preferred_maintenance_window=config.maintenance_window,
            copy_tags_to_snapshot=True,
            deletion_protection=protection.prevent_destroy,
            delete_automated_backups=not protection.final_snapshot,
            skip_final_snapshot=not protection.final_snapshot,
            # A snapshot outlives its cluster, and so does its name: it has the time of the
            # cluster's creation in it, or the next cluster could not be destroyed.
            final_snapshot_identifier=(
                f"{self.cluster_identifier}-{Fn.formatdate('YYYYMMDDhhmmss', Fn.timestamp())}"
            ),
            lifecycle=lifecycle(
                prevent_destroy=protection.prevent_destroy,
                ignore_changes=[
                    "final_snapshot_identifier",
                    *(_CHANGED_BY_THE_GLOBAL_DATABASE if global_database else ()),
                ],
            ),
            depends_on=log_groups,
        )
        self._accept_findings(protection)
        monitoring = self._monitoring(region, environment, account)
        zones = list(subnet_ids)
        # Aurora makes one of them the writer, and another one after a failover: none is named for
        # a role that it may lose.
        self.instances = [
            self._instance(number, zones[(number - 1) % len(zones)], monitoring)
            for number in range(1, config.readers + 2)
        ]
        self.app_secret = (
            global_database.secret("app-secret", _APP_USER, _APP_SECRET)
            if global_database
            else self._secret(protection)
        )

    @property
    def is_global(self) -> bool:
        """Whether the cluster shares its data with those of other regions."""
        return self._global_database is not None

    @property
    def endpoint(self) -> str:
        """Host name of the writer."""
        return self.cluster.endpoint

    @property
    def reader_endpoint(self) -> str:
        """Host name that stands for the readers; for the writer, where there is none."""
        return self.cluster.reader_endpoint

    @property
    def resource_id(self) -> str:
        """The id that IAM database authentication knows the cluster by."""
        return self.cluster.cluster_resource_id

    @property
    def master_secret_arn(self) -> str:
        """ARN of the master user's secret."""
        if self._global_database:
            return self._global_database.master_secret_arn
        return self.cluster.master_user_secret.get(0).secret_arn

    def _secret(
        self, protection: ProtectionConfig
    ) -> SecretsmanagerSecret | DataAwsSecretsmanagerSecret:
        secret = SecretsmanagerSecret(
            self,
            "app-secret",
            name=f"{self.cluster_identifier}/database/{_APP_USER}",
            description=_APP_SECRET,
            kms_key_id=self._key_arn,
            # With 0, the name can be used again at once after a destroy.
            recovery_window_in_days=protection.recovery_days,
            lifecycle=lifecycle(prevent_destroy=protection.prevent_destroy),
        )
        accept(
            secret,
            "CKV2_AWS_57",
            "the service's migration owns this user and its password, and no rotation function "
            "could set both sides at once",
        )
        return secret

    def _instance(
        self, number: int, zone: str, monitoring: Mapping[str, Any]
    ) -> RdsClusterInstance:
        config = self.config
        instance = RdsClusterInstance(
            self,
            f"instance-{number}",
            identifier=f"{self.cluster_identifier}-{number}",
            cluster_identifier=self.cluster.id,
            engine=self.cluster.engine,
            engine_version=self.cluster.engine_version,
            instance_class="db.serverless" if config.serverless else config.instance_class,
            availability_zone=zone,
            auto_minor_version_upgrade=True,
            copy_tags_to_snapshot=True,
            performance_insights_enabled=config.performance_insights,
            performance_insights_kms_key_id=self._key_arn if config.performance_insights else None,
            monitoring_interval=config.enhanced_monitoring_seconds,
            **monitoring,
            # Spread over the zones when they are made; a further zone moves none of them.
            lifecycle=lifecycle(ignore_changes=["availability_zone"]),
        )
        if not config.performance_insights:
            accept(instance, "CKV_AWS_353", "database.performance_insights is off here")
        if not config.enhanced_monitoring_seconds:
            accept(instance, "CKV_AWS_118", "database.enhanced_monitoring_seconds is 0 here")
        return instance

    def _monitoring(self, region: str, environment: str, account: str) -> Mapping[str, Any]:
        """What an instance needs for enhanced monitoring."""
        if not self.config.enhanced_monitoring_seconds:
            return {}
        role = service_role(
            self,
            "monitoring-role",
            name=resource_name("role", region, environment, "monitoring"),
            service="monitoring.rds.amazonaws.com",
            account=account,
        )
        rights = IamRolePolicyAttachment(
            self,
            "monitoring-rights",
            role=role.name,
            policy_arn="arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
        )
        # RDS tries the role when it makes an instance.
        return {"monitoring_role_arn": role.arn, "depends_on": [rights]}

    def _accept_findings(self, protection: ProtectionConfig) -> None:
        accept(
            self.cluster,
            "CKV_AWS_326",
            "backtracking rewinds all tables at once, and costs with each write; point-in-time "
            "recovery restores beside what runs",
        )
        if not protection.prevent_destroy:
            accept(self.cluster, "CKV_AWS_139", "protection.prevent_destroy is off here")


def _scaling(config: DatabaseConfig) -> RdsClusterServerlessv2ScalingConfiguration | None:
    if not config.serverless:
        return None
    return RdsClusterServerlessv2ScalingConfiguration(
        min_capacity=config.min_capacity,
        max_capacity=config.max_capacity,
        seconds_until_auto_pause=config.auto_pause_seconds if config.pauses else None,
    )
