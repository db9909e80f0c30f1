"""One database for several regions: an Aurora Global Database."""

from collections.abc import Mapping
from typing import Any

from constructs import Construct

from infra.config.options import DatabaseConfig, ProtectionConfig
from infra.config.place import Place
from infra.constructs.resources import accept, lifecycle
from infra.provider.bindings import (
    DataAwsSecretsmanagerSecret,
    RdsGlobalCluster,
    SecretsmanagerSecret,
    SecretsmanagerSecretReplica,
    SecretsmanagerSecretVersion,
    TerraformStack,
)

_PASSWORD = "aws_secretsmanager_random_password"  # noqa: S105
_SECRET = "aws_secretsmanager_secret_version"  # noqa: S105
_ADDRESS = "master"
# What RDS refuses in a password, or JSON would have to escape.
_NOT_IN_PASSWORDS = "/@\"\\'"
_PASSWORD_LENGTH = 40


class GlobalDatabase(Construct):
    """One region's part: the primary region creates the database, the others join it by name.

    Users and secrets are the same in all regions. The secrets live in the primary region, and
    Secrets Manager keeps replicas in the others, encrypted with `replica_key_arns`. RDS does not
    manage the master password of a global database, so it is generated here. It does not get into
    Terraform's state.
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html#rds-secrets-manager-limitations
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        config: DatabaseConfig,
        protection: ProtectionConfig,
        key_arn: str,
        replica_key_arns: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        self._config = config
        self._protection = protection
        self._key_arn = key_arn
        self._replica_key_arns = replica_key_arns
        self._name = place.global_name
        self._primary = config.global_regions[0]
        self._is_primary = place.region == self._primary
        master = self.secret("master-secret", "master", "Master user of the trade database")
        self.master_secret_arn: str = master.arn
        self.cluster_arguments: Mapping[str, Any] = (
            self._made(master) if self._is_primary else self._joined()
        )

    def secret(
        self, id_: str, user: str, description: str
    ) -> SecretsmanagerSecret | DataAwsSecretsmanagerSecret:
        """The secret of a database user: created in the primary region, looked up in the others."""
        name = f"{self._name}/database/{user}"
        if not self._is_primary:
            return DataAwsSecretsmanagerSecret(self, id_, name=name)
        secret = SecretsmanagerSecret(
            self,
            id_,
            name=name,
            description=description,
            kms_key_id=self._key_arn,
            replica=[
                SecretsmanagerSecretReplica(region=region, kms_key_id=arn)
                for region, arn in self._replica_key_arns.items()
            ],
            recovery_window_in_days=self._protection.recovery_days,
            lifecycle=lifecycle(prevent_destroy=self._protection.prevent_destroy),
        )
        accept(
            secret,
            "CKV2_AWS_57",
            "no rotation function could set the password and the secret in one step",
        )
        return secret

    def _made(self, master: SecretsmanagerSecret | DataAwsSecretsmanagerSecret) -> dict[str, Any]:
        config, protection = self._config, self._protection
        database = RdsGlobalCluster(
            self,
            "global-cluster",
            global_cluster_identifier=self._name,
            engine="aurora-mysql",
            engine_version=config.engine_version,
            storage_encrypted=True,
            deletion_protection=protection.prevent_destroy,
            lifecycle=lifecycle(prevent_destroy=protection.prevent_destroy),
        )
        stack = TerraformStack.of(self)
        # Ephemeral values and write-only arguments.
        stack.add_override("terraform.required_version", ">= 1.11.0")
        stack.add_override(
            f"ephemeral.{_PASSWORD}.{_ADDRESS}",
            {"exclude_characters": _NOT_IN_PASSWORDS, "password_length": _PASSWORD_LENGTH},
        )
        password = f"ephemeral.{_PASSWORD}.{_ADDRESS}.random_password"
        version = SecretsmanagerSecretVersion(
            self,
            "master-password",
            secret_id=master.arn,
            secret_string_wo=(
                f'${{jsonencode({{"username" = "{config.master_username}", '
                f'"password" = {password}}})}}'
            ),
            secret_string_wo_version=config.master_password_version,
        )
        # The cluster gets the password that the secret holds. An apply that continues an
        # interrupted one would generate another.
        stack.add_override(f"ephemeral.{_SECRET}.{_ADDRESS}", {"secret_id": version.secret_id})
        return {
            "global_cluster_identifier": database.id,
            "database_name": config.name,
            "master_username": config.master_username,
            "master_password_wo": (
                f"${{jsondecode(ephemeral.{_SECRET}.{_ADDRESS}.secret_string).password}}"
            ),
            "master_password_wo_version": config.master_password_version,
        }

    def _joined(self) -> dict[str, Any]:
        # Database, users and passwords are the primary's. The encryption needs the region: RDS
        # presigns a request to it.
        return {"global_cluster_identifier": self._name, "source_region": self._primary}
