"""The Aurora MySQL cluster and the secrets of its users."""

from collections.abc import Mapping

from constructs import Construct

from infra.bindings import (
    DbSubnetGroup,
    RdsCluster,
    RdsClusterInstance,
    SecretsmanagerSecret,
    SecurityGroup,
)
from infra.config import DatabaseConfig
from infra.naming import resource_name

PORT = 3306


class Database(Construct):
    """One writer and a number of readers in the private subnets, given by zone.

    RDS makes and keeps the master user's password, in Secrets Manager. The application user's
    secret is made here without a value: the service's migration creates the user and sets it.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: DatabaseConfig,
        region: str,
        environment: str,
        subnet_ids: Mapping[str, str],
        security_group: SecurityGroup,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id_)
        zones = list(subnet_ids)
        identifier = resource_name("cluster", region, environment)
        subnet_group = DbSubnetGroup(
            self,
            "subnet-group",
            name=resource_name("subnet group", region, environment),
            description="Private subnets of the trading platform",
            subnet_ids=list(subnet_ids.values()),
        )
        self.cluster = RdsCluster(
            self,
            "cluster",
            cluster_identifier=identifier,
            engine="aurora-mysql",
            engine_version=config.engine_version,
            database_name=config.name,
            master_username=config.master_username,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=key_arn,
            storage_encrypted=True,
            kms_key_id=key_arn,
            db_subnet_group_name=subnet_group.name,
            vpc_security_group_ids=[security_group.id],
            copy_tags_to_snapshot=True,
            skip_final_snapshot=True,
        )
        # Aurora makes one of them the writer, and another one after a failover: none is named for
        # a role that it may lose.
        for number in range(1, config.readers + 2):
            self._instance(number, config, zones[(number - 1) % len(zones)])
        self.app_secret = SecretsmanagerSecret(
            self,
            "app-secret",
            name=f"{identifier}/database/trade_app",
            description="User trade_app of the trade database; value set by the migration",
            kms_key_id=key_arn,
            # The name can be used again at once after a destroy.
            recovery_window_in_days=0,
        )

    @property
    def master_secret_arn(self) -> str:
        """ARN of the master user's secret."""
        return self.cluster.master_user_secret.get(0).secret_arn

    def _instance(self, number: int, config: DatabaseConfig, zone: str) -> None:
        RdsClusterInstance(
            self,
            f"instance-{number}",
            identifier=f"{self.cluster.cluster_identifier_input}-{number}",
            cluster_identifier=self.cluster.id,
            engine=self.cluster.engine,
            engine_version=self.cluster.engine_version,
            instance_class=config.instance_class,
            availability_zone=zone,
        )
