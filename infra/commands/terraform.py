"""Runs a Terraform command that changes no resource on each of the environment's stacks."""

import argparse
import os
import sys
from collections.abc import Sequence

from infra.config.environment import load_environment
from infra.main import synthesize
from infra.terraform.backend import backend_arguments, stack_folder
from infra.terraform.program import installed_terraform
from shared.cli.errors import exit_code

_COMMANDS = ("init", "validate", "output", "import")


def main(arguments: Sequence[str] | None = None) -> None:
    """Synthesize the environment's stacks and run one Terraform command on each of them.

    Arguments after `--` go to Terraform as they are.

    Raises:
        UserError: Terraform is missing, or failed; it has said why.
    """
    parser = argparse.ArgumentParser(prog="python -m infra.commands.terraform", description=__doc__)
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("extra", nargs="*", help="further arguments for Terraform")
    options = parser.parse_args(arguments)
    command: str = options.command
    environment = load_environment(os.environ)
    with installed_terraform(os.environ) as terraform:
        synthesize(environment)
        for region in (region.region for region in environment.regions):
            folder = stack_folder(environment, region)
            print(f"==> {folder.name}: terraform {command}", flush=True)
            # A validation needs neither a state nor an account.
            backend = (
                ("-backend=false",)
                if command == "validate"
                else backend_arguments(environment, region)
            )
            terraform.init(folder, *backend, quiet=command != "init")
            if command != "init":
                terraform.run(folder, command, *options.extra)


if __name__ == "__main__":
    sys.exit(exit_code(main))
