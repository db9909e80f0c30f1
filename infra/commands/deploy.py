"""Applies the data platform, after what it needs once per account."""

import os
import sys

from infra.commands import terraform
from infra.commands.remote_state import ensure
from infra.config.environment import load_environment
from infra.terraform.program import installed_terraform
from shared.cli.errors import exit_code


def main() -> None:
    """Make the state buckets that are missing, then synthesize and apply the environment.

    Raises:
        UserError: Terraform is missing, or failed; it has said why.
    """
    environment = load_environment(os.environ)
    if environment.remote_state:
        with installed_terraform(os.environ) as program:
            ensure(environment, program)
    terraform.main(["apply"])


if __name__ == "__main__":
    sys.exit(exit_code(main))
