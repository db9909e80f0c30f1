"""The data platform of one region."""

from constructs import Construct

from infra.bindings import (
    AwsProvider,
    AwsProviderDefaultTags,
    DataAwsCallerIdentity,
    Fn,
    LocalBackend,
    TerraformStack,
)
from infra.config import EnvironmentConfig, RegionConfig
from infra.constructs.database import PORT, Database
from infra.constructs.encryption import Encryption
from infra.constructs.network import Network
from infra.constructs.publication import Publication, stack_outputs
from infra.constructs.storage import Storage
from infra.naming import bucket_name
from shared.contract import Contract
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
        self.add_override("terraform.required_version", ">= 1.9.0")
        LocalBackend(self, path=str(environment.state_dir / f"{name}.tfstate"))
        AwsProvider(
            self,
            "aws",
            region=region.region,
            default_tags=[
                AwsProviderDefaultTags(
                    tags={
                        "Project": PLATFORM,
                        "Environment": environment.suffix,
                        "ManagedBy": "terraform",
                        "Stack": name,
                    }
                )
            ],
        )
        account = DataAwsCallerIdentity(self, "account").account_id

        network = Network(self, "network", region=region, environment=environment.suffix)
        encryption = Encryption(
            self,
            "encryption",
            region=region.region,
            environment=environment.suffix,
            account=account,
        )
        storage = Storage(
            self,
            "storage",
            bucket_name=bucket_name(region.region, environment.suffix, "data", account),
            key_arn=encryption.key.arn,
            expiration_days=environment.object_expiration_days,
        )
        artifacts = Storage(
            self,
            "artifacts",
            bucket_name=bucket_name(region.region, environment.suffix, "code", account),
            key_arn=encryption.key.arn,
        )
        database_security_group = network.security_group("database", "The Aurora cluster")
        network.allow_from_lambda(database_security_group, PORT, "database")
        database = Database(
            self,
            "database",
            config=environment.database,
            region=region.region,
            environment=environment.suffix,
            subnet_ids=network.private_subnet_ids,
            security_group=database_security_group,
            key_arn=encryption.key.arn,
        )

        Publication(
            self,
            "publication",
            contract=contract,
            environment=environment.suffix,
            values={
                "VpcId": network.vpc.id,
                "PublicSubnetIds": Fn.join(",", list(network.public_subnet_ids.values())),
                "PrivateSubnetIds": Fn.join(",", list(network.private_subnet_ids.values())),
                "LambdaSecurityGroupId": network.lambda_security_group.id,
                "KmsKeyArn": encryption.key.arn,
                "DataBucketName": storage.bucket.bucket,
                "ArtifactBucketName": artifacts.bucket.bucket,
                "DatabaseWriterEndpoint": database.cluster.endpoint,
                "DatabaseReaderEndpoint": database.cluster.reader_endpoint,
                "DatabasePort": Fn.tostring(database.cluster.port),
                "DatabaseName": database.cluster.database_name,
                "DatabaseMasterSecretArn": database.master_secret_arn,
                "DatabaseAppSecretArn": database.app_secret.arn,
            },
        )
        stack_outputs(
            self,
            {
                "vpc_id": network.vpc.id,
                "rds_cluster_endpoint": database.cluster.endpoint,
                "rds_cluster_reader_endpoint": database.cluster.reader_endpoint,
                "s3_bucket_name": storage.bucket.bucket,
                "kms_key_id": encryption.key.key_id,
            },
        )
