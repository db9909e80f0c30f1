"""What all stacks have in common."""

from collections.abc import Mapping

from constructs import Construct

from infra.config.environment import EnvironmentConfig
from infra.provider.bindings import (
    AwsProvider,
    AwsProviderDefaultTags,
    DataAwsCallerIdentity,
    TerraformStack,
)
from infra.stacks.state import keep_state
from shared.naming import PLATFORM


class Stack(TerraformStack):
    """A stack with its provider, its default tags, its state backend and the supported versions.

    `tags` are the stack's own default tags, in addition to those that all stacks have.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        environment: EnvironmentConfig,
        region: str,
        tags: Mapping[str, str],
    ) -> None:
        super().__init__(scope, name)
        # Both major versions of the provider work: no argument is used that only one of them has.
        self.add_override("terraform.required_providers.aws.version", ">= 5.100.0, < 7.0.0")
        self.add_override("terraform.required_version", ">= 1.10.0")
        keep_state(self, environment, region)
        self._tags = {"Project": PLATFORM, **tags, "ManagedBy": "terraform", "Stack": name}
        self._provider("aws", region)
        self.account: str = DataAwsCallerIdentity(self, "account").account_id

    def provider(self, alias: str, region: str) -> AwsProvider:
        """A further provider, for resources in another region."""
        return self._provider(alias, region, alias)

    def _provider(self, id_: str, region: str, alias: str | None = None) -> AwsProvider:
        return AwsProvider(
            self,
            id_,
            alias=alias,
            region=region,
            default_tags=[AwsProviderDefaultTags(tags=self._tags)],
        )
