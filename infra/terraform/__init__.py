"""Runs the Terraform program and configures its backend."""
