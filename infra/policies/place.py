"""One environment in one region of an account: the ARNs and names of what is there."""

from dataclasses import dataclass

from infra.config.naming import bucket_name, resource_name
from shared.naming import PLATFORM, service_stack_name, stack_name

# CloudFormation cuts a stack's name to 24 characters in the names of roles and functions; the cut
# leaves just this. What tells environments apart there is the permissions boundary.
SERVICE = f"{PLATFORM}-service"


BOUNDARY = "service-boundary"


SERVICE_DEPLOYER = "service-deployer"


INFRA_DEPLOYER = "infra-deployer"


PLANNER = "planner"


PREVIEW_LIMITS = "preview-limits"


@dataclass(frozen=True)
class Place:
    """One environment in one region of an account; `account` may be a Terraform expression."""

    account: str
    region: str
    environment: str

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a regional resource of the account."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def iam(self, resource: str) -> str:
        """The ARN of an IAM resource of the account."""
        return f"arn:aws:iam::{self.account}:{resource}"

    def bucket(self, role: str) -> str:
        """The ARN of one of the platform's buckets."""
        name = bucket_name(self.region, self.environment, role, self.account)
        return f"arn:aws:s3:::{name}"

    @property
    def platform(self) -> str:
        """The data platform's stack, whose name its resources have."""
        return stack_name(self.region, self.environment)

    @property
    def service(self) -> str:
        """The service's stack."""
        return service_stack_name(self.region, self.environment)

    @property
    def previews(self) -> str:
        """What the stacks of the environment's previews, and nothing else, are called like."""
        return service_stack_name(self.region, self.environment, "*")

    def policy_name(self, role: str) -> str:
        """The name of one of the policies of this module."""
        return resource_name("policy", self.region, self.environment, role)

    @property
    def boundary(self) -> str:
        """The ARN of the boundary that every role of a service has."""
        return self.iam(f"policy/{self.policy_name(BOUNDARY)}")
