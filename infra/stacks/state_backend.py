"""What all environments of an account share in a region: Terraform's states come first."""

from constructs import Construct

from infra.config.environment import EnvironmentConfig
from infra.config.naming import (
    state_bucket_name,
    state_key_alias,
    state_lock_table_name,
    state_stack_name,
)
from infra.constructs.api_logs import ApiLogs
from infra.constructs.encryption import account_statements
from infra.constructs.iam import policy
from infra.constructs.resources import lifecycle
from infra.constructs.storage import Retention, Storage
from infra.provider.bindings import (
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableServerSideEncryption,
    KmsAlias,
    KmsKey,
)
from infra.stacks.base import Stack

# How long an old state can be restored after a mistake.
_OLD_STATES_DAYS = 365


class StateBackend(Stack):
    """A versioned, encrypted, TLS-only bucket, a lock table, and API Gateway's role for logs.

    Each region has its own, so that a failing region does not take the others' states with it. It
    outlives every environment: remove `prevent_destroy` before you destroy it.
    """

    def __init__(self, scope: Construct, *, environment: EnvironmentConfig, region: str) -> None:
        super().__init__(
            scope, state_stack_name(region), environment=environment, region=region, tags={}
        )
        account = self.account
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
            retention=Retention(noncurrent_days=_OLD_STATES_DAYS),
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
        if environment.sets_api_logs_role:
            ApiLogs(self, "api-logs", region=region)
