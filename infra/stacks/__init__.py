"""The Terraform stacks."""
