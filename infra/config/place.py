"""One environment in one region of an account, and the names and ARNs of what is there."""

from dataclasses import dataclass

from infra.config import naming
from shared.naming import service_stack_name, stack_name


@dataclass(frozen=True)
class Place:
    """One environment in one region of an account.

    `account` is the account number, or the Terraform expression for it. Every name raises
    `ValueError` if AWS would not accept it (see `infra.config.naming`).
    """

    account: str
    region: str
    environment: str

    def name(self, kind: str, role: str = "") -> str:
        """The name of a resource: `place.name("alarm", "writer-cpu")`."""
        return naming.resource_name(kind, self.region, self.environment, role)

    def bucket_name(self, role: str) -> str:
        """The name of one of the platform's buckets, such as the one for `data`."""
        return naming.bucket_name(self.region, self.environment, role, self.account)

    def key_alias(self, role: str = "") -> str:
        """The alias of the environment's KMS key, or of another of its keys."""
        return naming.key_alias(self.region, self.environment, role)

    def log_group(self, role: str) -> str:
        """The name of one of the platform's own log groups."""
        return naming.log_group_name(self.region, self.environment, role)

    @property
    def global_name(self) -> str:
        """The name of what all regions of the environment share."""
        return naming.global_name(self.environment)

    @property
    def platform(self) -> str:
        """The stack of the data platform; the names of many of its resources start with it."""
        return stack_name(self.region, self.environment)

    @property
    def service(self) -> str:
        """The CloudFormation stack of the service."""
        return service_stack_name(self.region, self.environment)

    @property
    def previews(self) -> str:
        """A pattern that matches the environment's preview stacks and no others."""
        return service_stack_name(self.region, self.environment, "*")

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """The ARN of a resource of the account: of this region, or of `region`.

        IAM and CloudFront have no region: pass an empty one.
        """
        where = self.region if region is None else region
        return f"arn:aws:{service}:{where}:{self.account}:{resource}"

    def iam(self, resource: str) -> str:
        """The ARN of an IAM resource of the account."""
        return self.arn("iam", resource, region="")

    def bucket(self, role: str) -> str:
        """The ARN of one of the platform's buckets."""
        return f"arn:aws:s3:::{self.bucket_name(role)}"

    @property
    def state_bucket(self) -> str:
        """The ARN of the bucket of Terraform's states of the region."""
        return f"arn:aws:s3:::{naming.state_bucket_name(self.region, self.account)}"

    @property
    def state_locks(self) -> str:
        """The ARN of the table of Terraform's state locks of the region."""
        return self.arn("dynamodb", f"table/{naming.state_lock_table_name(self.region)}")
