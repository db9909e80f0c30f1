"""The Terraform stacks."""

import infra.provider  # noqa: F401
