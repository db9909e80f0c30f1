"""Applies the data platform, after what it needs once per account: `python -m infra.deploy`."""

import os
import sys

from infra import terraform
from infra.config import load_environment
from infra.remote_state import ensure
from shared.errors import exit_code


def main() -> None:
    """Make the state buckets that are missing, then synthesize and apply the environment.

    Raises:
        UserError: Terraform is missing, or failed; it has said why.
    """
    environment = load_environment(os.environ)
    if environment.remote_state:
        with terraform.installed_terraform(os.environ) as program:
            ensure(environment, program)
    terraform.main(["apply"])


if __name__ == "__main__":
    sys.exit(exit_code(main))
