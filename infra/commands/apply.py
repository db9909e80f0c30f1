"""Applies one region's stack: `python -m infra.commands.apply FOLDER REGION`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.commands.terraform import plan_and_warn
from infra.config.environment import load_environment
from infra.terraform.program import installed_terraform
from shared.cli.errors import exit_code


def main(arguments: Sequence[str] | None = None) -> None:
    """Apply the stack in a folder that is synthesized and initialized.

    Further arguments go to Terraform as they are.

    Raises:
        UserError: Terraform is missing, or failed; it has said why.
    """
    parser = argparse.ArgumentParser(prog="python -m infra.commands.apply", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("region")
    options, extra = parser.parse_known_args(arguments)
    environment = load_environment(os.environ).suffix
    with installed_terraform(os.environ) as terraform:
        plan_and_warn(
            terraform,
            options.folder,
            *extra,
            region=options.region,
            environment=environment,
            apply=True,
        )


if __name__ == "__main__":
    sys.exit(exit_code(main))
