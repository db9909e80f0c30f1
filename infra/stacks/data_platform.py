"""The data platform of one region."""

from collections.abc import Mapping

from constructs import Construct

from infra.config.environment import EnvironmentConfig
from infra.config.naming import APP_USER
from infra.config.place import Place
from infra.config.regions import RegionConfig
from infra.constructs.access import Access
from infra.constructs.backup import Backup
from infra.constructs.database import PORT, Database
from infra.constructs.database_proxy import DatabaseProxy
from infra.constructs.encryption import Encryption
from infra.constructs.endpoints import Endpoints
from infra.constructs.flow_logs import FlowLogs
from infra.constructs.global_database import GlobalDatabase
from infra.constructs.network import Network
from infra.constructs.observability import Observability
from infra.constructs.publication import Publication, stack_outputs
from infra.constructs.resources import accept
from infra.constructs.storage import AccessLogs, Retention, Storage
from infra.provider.bindings import AwsProvider, DataAwsKmsAlias, Fn, KmsKey
from infra.stacks.base import Stack
from shared.contract.loader import Contract
from shared.naming import snake_case, stack_name
from shared.regions import REGIONS


class DataPlatform(Stack):
    """Network, key, buckets and database of one region, and the values that it publishes."""

    def __init__(
        self,
        scope: Construct,
        *,
        environment: EnvironmentConfig,
        region: RegionConfig,
        contract: Contract,
    ) -> None:
        super().__init__(
            scope,
            stack_name(region.region, environment.suffix),
            environment=environment,
            region=region.region,
            tags={"Environment": environment.suffix},
        )
        self._settings = environment.settings_in(region)
        self._region = region
        self._place = Place(self.account, region.region, environment.suffix)
        self._providers = self._further_providers()
        self._key_arn, key_id, replica_key_arns = self._keys()
        network = self._network()
        data, artifacts = self._buckets()
        database = self._database(network, replica_key_arns)
        access = self._access_to(database, network)
        observability = self._watch(database, network)
        rights = Access(
            self,
            "access",
            place=self._place,
            vpc=network.vpc.arn,
            master_secret=database.master_secret_arn,
            database=access.resource_id,
        )

        published = {
            **_network_values(network),
            "KmsKeyArn": self._key_arn,
            "KmsKeyId": key_id,
            "DataBucketName": data.bucket.bucket,
            "ArtifactBucketName": artifacts.bucket.bucket,
            **_database_values(database, access),
            "AlarmTopicArn": observability.topic.arn,
            "ServiceBoundaryArn": rights.boundary.arn,
            "Production": str(environment.production).lower(),
        }
        suffix = environment.suffix
        Publication(self, "publication", contract=contract, environment=suffix, values=published)
        stack_outputs(
            self,
            {
                # The names that the platform was specified with, then the contract's.
                "rds_cluster_endpoint": database.cluster.endpoint,
                "rds_cluster_reader_endpoint": database.cluster.reader_endpoint,
                "s3_bucket_name": data.bucket.bucket,
                "service_deployer_policy_arn": rights.service_deployer.arn,
                "service_deployer_access_policy_arn": rights.service_deployer_access.arn,
                **{snake_case(name): value for name, value in published.items()},
            },
        )

    def _further_providers(self) -> Mapping[str, AwsProvider]:
        """The providers of the other regions and of the one that backups are copied to, by alias.

        All exist, used or not: Terraform removes a resource with the provider that created it, and
        every plan fails without that. An unused one is never configured.
        https://developer.hashicorp.com/terraform/language/providers/configuration
        """
        others = {name: name for name in REGIONS if name != self._region.region}
        aliases = {**others, "copy": self._region.copy_region}
        return {alias: self.provider(alias, region) for alias, region in aliases.items()}

    def _keys(self) -> tuple[str, str, Mapping[str, str]]:
        """ARN and id of the environment's key in the region, and the ARNs of its other keys.

        The replicas of a global database's secrets need the keys of their regions before anything
        else exists there, so the stack of the primary region creates all of them.
        """
        region = self._place.region
        _, *secondaries = self._settings.database.global_regions or [region]
        if region in secondaries:
            alias = DataAwsKmsAlias(self, "key", name=self._place.key_alias())
            return alias.target_key_arn, alias.target_key_id, {}
        own = self._key("encryption", self._place)
        others = {
            other: self._key(
                f"encryption-{other}",
                Place(self.account, other, self._place.environment),
                self._providers[other],
            ).arn
            for other in secondaries
        }
        return own.arn, own.key_id, others

    def _key(self, id_: str, place: Place, provider: AwsProvider | None = None) -> KmsKey:
        protection = self._settings.protection
        return Encryption(self, id_, place=place, protection=protection, provider=provider).key

    def _network(self) -> Network:
        """The VPC, its flow logs, and the endpoints of the AWS services that functions call."""
        config = self._settings.network
        network = Network(self, "network", place=self._place, region=self._region, nat=config.nat)
        FlowLogs(
            self,
            "flow-logs",
            place=self._place,
            vpc_id=network.vpc.id,
            key_arn=self._key_arn,
            retention_days=self._settings.observability.log_retention_days,
        )
        Endpoints(
            self,
            "endpoints",
            place=self._place,
            network=network,
            interfaces=config.interface_endpoints,
        )
        return network

    def _buckets(self) -> tuple[Storage, Storage]:
        """The buckets for data and for build artifacts."""
        config = self._settings.storage
        prevent_destroy = self._settings.protection.prevent_destroy
        retention = Retention(config.noncurrent_days, config.expiration_days)
        logs = (
            AccessLogs(
                self,
                "access-logs",
                place=self._place,
                retention=retention,
                prevent_destroy=prevent_destroy,
            )
            if config.access_logging
            else None
        )
        data = Storage(
            self,
            "storage",
            bucket_name=self._place.bucket_name("data"),
            key_arn=self._key_arn,
            retention=retention,
            access_logs=logs,
            prevent_destroy=prevent_destroy,
        )
        # Its contents can be built again, so it is not protected.
        artifacts = Storage(
            self,
            "artifacts",
            bucket_name=self._place.bucket_name("code"),
            key_arn=self._key_arn,
            retention=Retention(config.noncurrent_days),
            access_logs=logs,
        )
        return data, artifacts

    def _database(self, network: Network, replica_key_arns: Mapping[str, str]) -> Database:
        settings = self._settings
        return Database(
            self,
            "database",
            place=self._place,
            settings=settings,
            network=network,
            key_arn=self._key_arn,
            global_database=GlobalDatabase(
                self,
                "global-database",
                place=self._place,
                config=settings.database,
                protection=settings.protection,
                key_arn=self._key_arn,
                replica_key_arns=replica_key_arns,
            )
            if settings.database.global_regions
            else None,
        )

    def _access_to(self, database: Database, network: Network) -> Database | DatabaseProxy:
        """What the functions connect to: the database, or the proxy in front of it."""
        if not self._settings.database.proxy:
            network.allow("lambda", "database", PORT)
            return database
        return DatabaseProxy(
            self,
            "database-proxy",
            place=self._place,
            database=database,
            network=network,
            key_arn=self._key_arn,
            log_retention_days=self._settings.observability.log_retention_days,
        )

    def _watch(self, database: Database, network: Network) -> Observability:
        """Backups, and the alarms of everything that has any."""
        observability = Observability(
            self,
            "observability",
            place=self._place,
            config=self._settings.observability,
            key_arn=self._key_arn,
        )
        observability.watch_database(database)
        for zone, gateway_id in network.nat_gateway_ids.items():
            observability.watch_nat(zone, gateway_id)
        self._back_up(database, observability)
        observability.add_dashboard(database)
        return observability

    def _back_up(self, database: Database, observability: Observability) -> None:
        config = self._settings.backup
        if not config.plan:
            accept(
                database.cluster,
                "CKV2_AWS_8",
                "backup.plan is an option that production has; the cluster has its own backups",
            )
            return
        copied = config.cross_region_copy
        backup = Backup(
            self,
            "backup",
            place=self._place,
            settings=self._settings,
            cluster_arn=database.cluster.arn,
            key_arn=self._key_arn,
            copy_provider=self._providers["copy"] if copied else None,
        )
        observability.watch_backups(backup.vault.name, copied=copied)


def _network_values(network: Network) -> Mapping[str, str]:
    """The published values of the network."""
    return {
        "VpcId": network.vpc.id,
        "PublicSubnetIds": Fn.join(",", list(network.public_subnet_ids.values())),
        "PrivateSubnetIds": Fn.join(",", list(network.private_subnet_ids.values())),
        "LambdaSecurityGroupId": network.lambda_security_group.id,
    }


def _database_values(database: Database, access: Database | DatabaseProxy) -> Mapping[str, str]:
    """The published values of the database."""
    return {
        "DatabaseWriterEndpoint": access.endpoint,
        "DatabaseReaderEndpoint": access.reader_endpoint,
        "DatabasePort": Fn.tostring(database.cluster.port),
        "DatabaseName": database.config.name,
        "DatabaseMasterSecretArn": database.master_secret_arn,
        "DatabaseAppSecretArn": database.app_secret.arn,
        "DatabaseClusterId": database.cluster.cluster_identifier,
        "DatabaseResourceId": access.resource_id,
        "DatabaseConnectionBudget": str(database.config.connection_budget),
        "DatabaseAppUser": APP_USER,
        "DatabaseProxied": str(database.config.proxy).lower(),
    }
