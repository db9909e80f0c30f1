"""The data platform of one region."""

from collections.abc import Mapping

from constructs import Construct

from infra.config.environment import EnvironmentConfig, RegionConfig
from infra.config.naming import bucket_name, key_alias
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
from infra.constructs.publication import Publication, snake_case, stack_outputs
from infra.constructs.resources import accept
from infra.constructs.storage import Storage
from infra.policies.place import Place
from infra.provider.bindings import (
    AwsProvider,
    AwsProviderDefaultTags,
    DataAwsCallerIdentity,
    DataAwsKmsAlias,
    Fn,
    KmsKey,
    TerraformStack,
)
from infra.stacks.state import keep_state
from shared.contract.loader import Contract
from shared.naming import PLATFORM, stack_name


class DataPlatform(TerraformStack):
    """Network, key, bucket and database of one region, and the published values."""

    def __init__(
        self,
        scope: Construct,
        *,
        environment: EnvironmentConfig,
        region: RegionConfig,
        contract: Contract,
    ) -> None:
        name = stack_name(region.region, environment.suffix)
        super().__init__(scope, name)
        # Both provider majors serve: no argument is used that only one of them has.
        self.add_override("terraform.required_providers.aws.version", ">= 5.100.0, < 7.0.0")
        self.add_override("terraform.required_version", ">= 1.10.0")
        keep_state(self, environment, region.region)
        self._provider("aws", region.region, environment)
        account = DataAwsCallerIdentity(self, "account").account_id

        suffix, settings = environment.suffix, environment.settings
        protection = settings.protection
        key_arn, key_id, replica_key_arns = self._keys(environment, region.region, account)

        network = Network(
            self, "network", region=region, environment=suffix, nat=settings.network.nat
        )
        FlowLogs(
            self,
            "flow-logs",
            region=region.region,
            environment=suffix,
            account=account,
            vpc_id=network.vpc.id,
            key_arn=key_arn,
            retention_days=settings.observability.log_retention_days,
        )
        Endpoints(
            self,
            "endpoints",
            network=network,
            region=region.region,
            account=account,
            interfaces=settings.network.interface_endpoints,
        )

        def bucket_name_of(role: str) -> str:
            return bucket_name(region.region, suffix, role, account)

        access_logs = (
            Storage(
                self,
                "access-logs",
                bucket_name=bucket_name_of("logs"),
                key_arn=key_arn,
                noncurrent_days=settings.storage.noncurrent_days,
                expiration_days=settings.storage.expiration_days,
                takes_logs_of=account,
                prevent_destroy=protection.prevent_destroy,
            ).bucket
            if settings.storage.access_logging
            else None
        )
        storage = Storage(
            self,
            "storage",
            bucket_name=bucket_name_of("data"),
            key_arn=key_arn,
            noncurrent_days=settings.storage.noncurrent_days,
            expiration_days=settings.storage.expiration_days,
            log_bucket=access_logs,
            prevent_destroy=protection.prevent_destroy,
        )
        # What is in it can be built again: it is not protected.
        artifacts = Storage(
            self,
            "artifacts",
            bucket_name=bucket_name_of("code"),
            key_arn=key_arn,
            noncurrent_days=settings.storage.noncurrent_days,
            log_bucket=access_logs,
        )

        database_security_group = network.security_group("database", "The Aurora cluster")
        database = Database(
            self,
            "database",
            config=settings.database,
            protection=protection,
            region=region.region,
            environment=suffix,
            account=account,
            subnet_ids=network.private_subnet_ids,
            security_group=database_security_group,
            key_arn=key_arn,
            log_retention_days=settings.observability.log_retention_days,
            global_database=GlobalDatabase(
                self,
                "global-database",
                config=settings.database,
                protection=protection,
                region=region.region,
                environment=suffix,
                key_arn=key_arn,
                replica_key_arns=replica_key_arns,
            )
            if settings.database.global_regions
            else None,
        )
        if settings.database.proxy:
            proxy_security_group = network.security_group("proxy", "The proxy of the database")
            accept(proxy_security_group, "CKV2_AWS_5", "checkov does not know database proxies")
            network.allow("lambda", "proxy", PORT)
            network.allow("proxy", "database", PORT)
            access: Database | DatabaseProxy = DatabaseProxy(
                self,
                "database-proxy",
                database=database,
                region=region.region,
                environment=suffix,
                subnet_ids=list(network.private_subnet_ids.values()),
                security_group=proxy_security_group,
                key_arn=key_arn,
            )
        else:
            network.allow("lambda", "database", PORT)
            access = database

        observability = Observability(
            self,
            "observability",
            config=settings.observability,
            region=region.region,
            environment=suffix,
            account=account,
            key_arn=key_arn,
        )
        observability.watch_database(database)
        for zone, gateway_id in network.nat_gateway_ids.items():
            observability.watch_nat(zone, gateway_id)
        if settings.backup.plan:
            backup = Backup(
                self,
                "backup",
                config=settings.backup,
                protection=protection,
                region=region,
                environment=suffix,
                account=account,
                cluster_arn=database.cluster.arn,
                key_arn=key_arn,
                copy_provider=self._provider("copy", region.copy_region, environment)
                if settings.backup.cross_region_copy
                else None,
            )
            observability.watch_backups(backup.vault.name, copied=settings.backup.cross_region_copy)
        else:
            accept(
                database.cluster,
                "CKV2_AWS_8",
                "backup.plan is an option that production has; the cluster has its own backups",
            )
        observability.add_dashboard(database)
        rights = Access(self, "access", place=Place(account, region.region, suffix))

        published = {
            "VpcId": network.vpc.id,
            "PublicSubnetIds": Fn.join(",", list(network.public_subnet_ids.values())),
            "PrivateSubnetIds": Fn.join(",", list(network.private_subnet_ids.values())),
            "LambdaSecurityGroupId": network.lambda_security_group.id,
            "KmsKeyArn": key_arn,
            "KmsKeyId": key_id,
            "DataBucketName": storage.bucket.bucket,
            "ArtifactBucketName": artifacts.bucket.bucket,
            "DatabaseWriterEndpoint": access.endpoint,
            "DatabaseReaderEndpoint": access.reader_endpoint,
            "DatabasePort": Fn.tostring(database.cluster.port),
            "DatabaseName": settings.database.name,
            "DatabaseMasterSecretArn": database.master_secret_arn,
            "DatabaseAppSecretArn": database.app_secret.arn,
            "DatabaseClusterId": database.cluster.cluster_identifier,
            "DatabaseResourceId": access.resource_id,
            "DatabaseConnectionBudget": str(settings.database.connection_budget),
            "AlarmTopicArn": observability.topic.arn,
            "ServiceBoundaryArn": rights.boundary.arn,
        }
        Publication(self, "publication", contract=contract, environment=suffix, values=published)
        stack_outputs(
            self,
            {
                # The names that the platform was specified with, then the contract.
                "rds_cluster_endpoint": database.cluster.endpoint,
                "rds_cluster_reader_endpoint": database.cluster.reader_endpoint,
                "s3_bucket_name": storage.bucket.bucket,
                "service_deployer_policy_arn": rights.service_deployer.arn,
                **{snake_case(name): value for name, value in published.items()},
            },
        )

    def _keys(
        self, environment: EnvironmentConfig, region: str, account: str
    ) -> tuple[str, str, Mapping[str, str]]:
        """ARN and id of the environment's key in the region, and the ARNs of its other keys.

        The replicas of a global database's secrets need the keys of their regions before there is
        anything else there: the stack of the primary region makes all of them.
        """
        _, *secondaries = environment.settings.database.global_regions or [region]
        if region in secondaries:
            alias = DataAwsKmsAlias(self, "key", name=key_alias(region, environment.suffix))
            return alias.target_key_arn, alias.target_key_id, {}
        protection = environment.settings.protection

        def key(id_: str, region: str, provider: AwsProvider | None = None) -> KmsKey:
            return Encryption(
                self,
                id_,
                region=region,
                environment=environment.suffix,
                account=account,
                deletion_days=protection.key_deletion_days,
                prevent_destroy=protection.prevent_destroy,
                provider=provider,
            ).key

        own = key("encryption", region)
        others = {
            other: key(f"encryption-{other}", other, self._provider(other, other, environment)).arn
            for other in secondaries
        }
        return own.arn, own.key_id, others

    def _provider(self, id_: str, region: str, environment: EnvironmentConfig) -> AwsProvider:
        """A provider for a region; all but the first have an alias."""
        return AwsProvider(
            self,
            id_,
            alias=None if id_ == "aws" else id_,
            region=region,
            default_tags=[
                AwsProviderDefaultTags(
                    tags={
                        "Project": PLATFORM,
                        "Environment": environment.suffix,
                        "ManagedBy": "terraform",
                        "Stack": self.node.id,
                    }
                )
            ],
        )
