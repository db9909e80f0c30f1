"""Where Terraform keeps a stack's state: in S3 under two locks, or in a local file when asked."""

from pathlib import Path

from infra.config.environment import EnvironmentConfig
from infra.config.naming import state_lock_table_name
from infra.provider.bindings import LocalBackend, S3Backend, TerraformStack


def keep_state(stack: TerraformStack, environment: EnvironmentConfig, region: str) -> None:
    """Give the stack its backend.

    Bucket and key of the S3 backend carry the account number, which is not known here:
    `infra.commands.remote_state` gives them to `terraform init`. Workspaces other than the default
    one get `env:/<workspace>/` in front of the state's key.
    https://developer.hashicorp.com/terraform/language/backend/s3
    """
    name = stack.node.id
    if not environment.remote_state:
        LocalBackend(
            stack,
            path=str(local_state_file(environment, name)),
            workspace_dir=str(environment.state_dir / f"{name}.workspaces"),
        )
        return
    S3Backend(
        stack,
        bucket="",
        key=state_key(name),
        region=region,
        encrypt=True,
        dynamodb_table=state_lock_table_name(region),
    )
    stack.add_override("terraform.backend.s3.bucket", None)
    # Both locks: the native one, and the table, which tools that do not know the other one use.
    stack.add_override("terraform.backend.s3.use_lockfile", True)


def local_state_file(environment: EnvironmentConfig, stack: str) -> Path:
    """The file of a stack's local state."""
    return environment.state_dir / f"{stack}.tfstate"


def state_key(stack: str) -> str:
    """The key of a stack's state in the state bucket."""
    return f"{stack}/terraform.tfstate"
