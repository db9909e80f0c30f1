"""The Aurora MySQL cluster and the secrets of its users."""

from collections.abc import Mapping, Sequence
from typing import Any

from constructs import Construct

from infra.config.database_parameters import CLUSTER_PARAMETERS, INSTANCE_PARAMETERS
from infra.config.naming import APP_USER
from infra.config.options import DatabaseConfig, Settings
from infra.config.place import Place
from infra.constructs.global_database import GlobalDatabase
from infra.constructs.iam import service_role
from infra.constructs.logs import encrypted_log_group
from infra.constructs.network import Network
from infra.constructs.resources import accept, lifecycle
from infra.provider.bindings import (
    CloudwatchLogGroup,
    DataAwsSecretsmanagerSecret,
    DbParameterGroup,
    DbParameterGroupParameter,
    DbSubnetGroup,
    Fn,
    IamRolePolicyAttachment,
    RdsCluster,
    RdsClusterInstance,
    RdsClusterParameterGroup,
    RdsClusterParameterGroupParameter,
    RdsClusterServerlessv2ScalingConfiguration,
    SecretsmanagerSecret,
)

PORT = 3306

_FAMILY = "aurora-mysql8.0"
# A failover reverses the replication, and upgrades go through the global cluster.
# https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/rds_global_cluster
_CHANGED_BY_THE_GLOBAL_DATABASE = ("replication_source_identifier", "engine_version")
_APP_SECRET = f"User {APP_USER} of the trade database; value set by the migration"
_LOG_EXPORTS = ("audit", "error", "slowquery")


class Database(Construct):
    """One writer and a number of readers in the private subnets, spread over the zones.

    RDS creates the master user's password and keeps it in Secrets Manager. The application user's
    secret is created here without a value: the service's migration creates the user and sets the
    value. Both secrets of a global database belong to the global database.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        settings: Settings,
        network: Network,
        key_arn: str,
        global_database: GlobalDatabase | None = None,
    ) -> None:
        super().__init__(scope, id_)
        self.config = settings.database
        self.cluster_identifier = place.name("cluster")
        self._place = place
        self._protection = settings.protection
        self._key_arn = key_arn
        self._global_database = global_database
        group = network.security_group("database", "The Aurora cluster")
        subnet_ids = list(network.private_subnet_ids.values())
        self.cluster = self._cluster(
            db_subnet_group_name=self._subnet_group(subnet_ids),
            db_cluster_parameter_group_name=self._cluster_parameter_group(),
            vpc_security_group_ids=[group.id],
            depends_on=self._log_groups(settings.observability.log_retention_days),
        )
        self._accept_findings()
        parameter_group = self._instance_parameter_group()
        monitoring = self._monitoring()
        zones = list(network.private_subnet_ids)
        # Aurora makes one of them the writer, and another one after a failover, so none is named
        # after its role.
        self.instances = [
            self._instance(number, zones[(number - 1) % len(zones)], parameter_group, monitoring)
            for number in range(1, self.config.readers + 2)
        ]
        self.app_secret = (
            global_database.secret("app-secret", APP_USER, _APP_SECRET)
            if global_database
            else self._secret()
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
        """Host name of the readers, or of the writer if there is no reader."""
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
        # A cluster that is to leave a global database has no such secret. Its plan needs some ARN
        # to get as far as the gate, which refuses it and says what works.
        secret = self.cluster.master_user_secret.get(0)
        return str(Fn.try_([secret.secret_arn, self.cluster.arn]))

    def _subnet_group(self, subnet_ids: Sequence[str]) -> str:
        return DbSubnetGroup(
            self,
            "subnet-group",
            name=self._place.name("subnet group"),
            description="Private subnets of the trading platform",
            subnet_ids=list(subnet_ids),
        ).name

    def _cluster_parameter_group(self) -> str:
        return RdsClusterParameterGroup(
            self,
            "parameter-group",
            name=self._place.name("parameter group"),
            description="TLS only, utf8mb4, UTC, audited",
            family=_FAMILY,
            parameter=[
                RdsClusterParameterGroupParameter(name=name, value=value)
                for name, value in CLUSTER_PARAMETERS.items()
            ],
        ).name

    def _instance_parameter_group(self) -> str:
        return DbParameterGroup(
            self,
            "instance-parameter-group",
            # Clusters and instances have their groups in different namespaces.
            name=self._place.name("parameter group"),
            description="Strict SQL mode, slow queries logged",
            family=_FAMILY,
            parameter=[
                DbParameterGroupParameter(name=name, value=value)
                for name, value in INSTANCE_PARAMETERS.items()
            ],
        ).name

    def _log_groups(self, retention_days: int) -> list[CloudwatchLogGroup]:
        # If RDS created them, they would be unencrypted and would never expire.
        return [
            encrypted_log_group(
                self,
                f"{log}-log-group",
                name=f"/aws/rds/cluster/{self.cluster_identifier}/{log}",
                key_arn=self._key_arn,
                retention_days=retention_days,
            )
            for log in _LOG_EXPORTS
        ]

    def _cluster(self, **arguments: Any) -> RdsCluster:
        """The cluster; `arguments` name what it depends on."""
        config, protection = self.config, self._protection
        return RdsCluster(
            self,
            "cluster",
            cluster_identifier=self.cluster_identifier,
            engine="aurora-mysql",
            engine_version=config.engine_version,
            **self._users(),
            iam_database_authentication_enabled=True,
            storage_encrypted=True,
            kms_key_id=self._key_arn,
            enabled_cloudwatch_logs_exports=list(_LOG_EXPORTS),
            serverlessv2_scaling_configuration=_scaling(config),
            # Point-in-time recovery goes back as far as these backups do.
            backup_retention_period=config.backup_retention_days,
            preferred_backup_window=config.backup_window,
            preferred_maintenance_window=config.maintenance_window,
            copy_tags_to_snapshot=True,
            deletion_protection=protection.prevent_destroy,
            delete_automated_backups=not protection.final_snapshot,
            skip_final_snapshot=not protection.final_snapshot,
            # The snapshot outlives its cluster and keeps its name. The time in the name lets the
            # next cluster be destroyed as well.
            final_snapshot_identifier=(
                f"{self.cluster_identifier}-{Fn.formatdate('YYYYMMDDhhmmss', Fn.timestamp())}"
            ),
            lifecycle=lifecycle(
                prevent_destroy=protection.prevent_destroy,
                ignore_changes=[
                    "final_snapshot_identifier",
                    *(_CHANGED_BY_THE_GLOBAL_DATABASE if self.is_global else ()),
                ],
            ),
            **arguments,
        )

    def _users(self) -> Mapping[str, Any]:
        """The cluster's database and master user."""
        if self._global_database:
            return self._global_database.cluster_arguments
        return {
            "database_name": self.config.name,
            "master_username": self.config.master_username,
            "manage_master_user_password": True,
            "master_user_secret_kms_key_id": self._key_arn,
        }

    def _secret(self) -> SecretsmanagerSecret | DataAwsSecretsmanagerSecret:
        protection = self._protection
        secret = SecretsmanagerSecret(
            self,
            "app-secret",
            name=f"{self.cluster_identifier}/database/{APP_USER}",
            description=_APP_SECRET,
            kms_key_id=self._key_arn,
            # With 0, the name is free again right after a destroy.
            recovery_window_in_days=protection.recovery_days,
            lifecycle=lifecycle(prevent_destroy=protection.prevent_destroy),
        )
        accept(
            secret,
            "CKV2_AWS_57",
            "the service's migration owns this user and its password, and no rotation function "
            "could set both sides in one step",
        )
        return secret

    def _instance(
        self, number: int, zone: str, parameter_group: str, monitoring: Mapping[str, Any]
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
            db_parameter_group_name=parameter_group,
            availability_zone=zone,
            # AWS would patch the cluster past `engine_version`, and each later plan would fail.
            # https://github.com/terraform-aws-modules/terraform-aws-rds-aurora/issues/228
            auto_minor_version_upgrade=False,
            copy_tags_to_snapshot=True,
            performance_insights_enabled=config.performance_insights,
            performance_insights_kms_key_id=self._key_arn if config.performance_insights else None,
            monitoring_interval=config.enhanced_monitoring_seconds,
            **monitoring,
            # They are spread over the zones when they are created; a further zone moves none.
            lifecycle=lifecycle(ignore_changes=["availability_zone"]),
        )
        accept(
            instance,
            "CKV_AWS_226",
            "database.engine_version decides the version: patches come by raising it",
        )
        if not config.performance_insights:
            accept(instance, "CKV_AWS_353", "database.performance_insights is off here")
        if not config.enhanced_monitoring_seconds:
            accept(instance, "CKV_AWS_118", "database.enhanced_monitoring_seconds is 0 here")
        return instance

    def _monitoring(self) -> Mapping[str, Any]:
        """What an instance needs for enhanced monitoring."""
        if not self.config.enhanced_monitoring_seconds:
            return {}
        role = service_role(
            self,
            "monitoring-role",
            name=self._place.name("role", "monitoring"),
            service="monitoring.rds.amazonaws.com",
            account=self._place.account,
        )
        rights = IamRolePolicyAttachment(
            self,
            "monitoring-rights",
            role=role.name,
            policy_arn="arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole",
        )
        # RDS tries the role when it creates an instance.
        return {"monitoring_role_arn": role.arn, "depends_on": [rights]}

    def _accept_findings(self) -> None:
        accept(
            self.cluster,
            "CKV_AWS_326",
            "backtracking rewinds all tables together, and costs with each write; point-in-time "
            "recovery restores next to what runs",
        )
        if not self._protection.prevent_destroy:
            accept(self.cluster, "CKV_AWS_139", "protection.prevent_destroy is off here")


def _scaling(config: DatabaseConfig) -> RdsClusterServerlessv2ScalingConfiguration | None:
    if not config.serverless:
        return None
    return RdsClusterServerlessv2ScalingConfiguration(
        min_capacity=config.min_capacity,
        max_capacity=config.max_capacity,
        seconds_until_auto_pause=config.auto_pause_seconds if config.pauses else None,
    )
