"""Where Terraform keeps a stack's state: in S3 under two locks, or in a local file on request."""

from infra.config.environment import EnvironmentConfig
from infra.config.naming import state_key, state_lock_table_name
from infra.provider.bindings import LocalBackend, S3Backend, TerraformStack


def keep_state(stack: TerraformStack, environment: EnvironmentConfig, region: str) -> None:
    """Give the stack its backend.

    The S3 bucket's name and the ARN of its KMS key contain the account number, which is not known
    here: `infra.terraform.backend` passes both to `terraform init`. In a workspace other than the
    default one, the state's key starts with `env:/<workspace>/`.
    https://developer.hashicorp.com/terraform/language/backend/s3
    """
    name = stack.node.id
    if not environment.remote_state:
        # CDKTF's own program lets Terraform write files that everybody on this machine can read.
        environment.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        LocalBackend(
            stack,
            path=str(environment.local_state_file(name)),
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
    # Two locks: S3's own, and the table for tools that do not know S3's.
    stack.add_override("terraform.backend.s3.use_lockfile", True)
