"""What keeps Terraform's states of one region, for all environments of the account."""

from constructs import Construct

from infra.config.environment import EnvironmentConfig
from infra.config.naming import (
    state_bucket_name,
    state_key_alias,
    state_lock_table_name,
    state_stack_name,
)
from infra.constructs.encryption import account_statements
from infra.constructs.iam import policy
from infra.constructs.resources import lifecycle
from infra.constructs.storage import Storage
from infra.provider.bindings import (
    AwsProvider,
    AwsProviderDefaultTags,
    DataAwsCallerIdentity,
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableServerSideEncryption,
    KmsAlias,
    KmsKey,
    TerraformStack,
)
from infra.stacks.state import keep_state
from shared.naming import PLATFORM

# How far back one can go after a mistake.
_OLD_STATES_DAYS = 365


class StateBackend(TerraformStack):
    """A versioned, encrypted, TLS-only bucket and a lock table.

    One in each region, so that a region that fails does not take the others' states with it. It
    outlives every environment: to remove it, take `prevent_destroy` out first.
    """

    def __init__(self, scope: Construct, *, environment: EnvironmentConfig, region: str) -> None:
        name = state_stack_name(region)
        super().__init__(scope, name)
        # Both provider majors serve: no argument is used that only one of them has.
        self.add_override("terraform.required_providers.aws.version", ">= 5.100.0, < 7.0.0")
        self.add_override("terraform.required_version", ">= 1.10.0")
        keep_state(self, environment, region)
        AwsProvider(
            self,
            "aws",
            region=region,
            default_tags=[
                AwsProviderDefaultTags(
                    tags={"Project": PLATFORM, "ManagedBy": "terraform", "Stack": name}
                )
            ],
        )
        account = DataAwsCallerIdentity(self, "account").account_id
        kept = lifecycle(prevent_destroy=True)
        key = KmsKey(
            self,
            "key",
            description=f"Terraform states of the trading platform in {region}",
            enable_key_rotation=True,
            policy=policy(*account_statements(account, region)),
            lifecycle=kept,
        )
        KmsAlias(self, "alias", name=state_key_alias(region), target_key_id=key.key_id)
        Storage(
            self,
            "states",
            bucket_name=state_bucket_name(region, account),
            key_arn=key.arn,
            noncurrent_days=_OLD_STATES_DAYS,
            prevent_destroy=True,
        )
        DynamodbTable(
            self,
            "locks",
            name=state_lock_table_name(region),
            billing_mode="PAY_PER_REQUEST",
            hash_key="LockID",
            attribute=[DynamodbTableAttribute(name="LockID", type="S")],
            point_in_time_recovery=DynamodbTablePointInTimeRecovery(enabled=True),
            server_side_encryption=DynamodbTableServerSideEncryption(
                enabled=True, kms_key_arn=key.arn
            ),
            deletion_protection_enabled=True,
            lifecycle=kept,
        )
