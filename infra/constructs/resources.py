"""What several constructs do with their resources."""

from collections.abc import Sequence

from infra.provider.bindings import TerraformResource, TerraformResourceLifecycle


def lifecycle(
    *, prevent_destroy: bool = False, ignore_changes: Sequence[str] = ()
) -> TerraformResourceLifecycle | None:
    """The `lifecycle` block of a resource, or None if it would be empty."""
    if not prevent_destroy and not ignore_changes:
        return None
    return TerraformResourceLifecycle(
        prevent_destroy=prevent_destroy or None, ignore_changes=list(ignore_changes) or None
    )


def accept(resource: TerraformResource, check: str, reason: str) -> None:
    """Accept one finding of checkov on one resource, with a reason (see `infra.commands.scan`)."""
    # Terraform ignores the key "//".
    resource.add_override(f"//.checkov.{check}", reason)
