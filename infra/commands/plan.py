"""Shows what a deploy would change: `python -m infra.commands.plan [-- Terraform arguments]`."""

import argparse
import os
import sys
from collections.abc import Sequence

from infra.commands.approval import summary
from infra.commands.elsewhere import notes
from infra.commands.planning import plan_stacks, plans_folder, warn
from infra.config.environment import load_environment
from infra.terraform.program import installed_terraform
from shared.cli.errors import exit_code
from shared.cli.in_regions import parallel_limit


def main(arguments: Sequence[str] | None = None) -> None:
    """Plan the environment's stacks and print the verdict on each plan.

    The variable `OUT` names a folder that keeps the plans for `make deploy-infra PLAN=…`.

    Raises:
        UserError: Terraform or AWS failed, or a state is empty that should not be.
    """
    parser = argparse.ArgumentParser(prog="python -m infra.commands.plan", description=__doc__)
    parser.add_argument("extra", nargs="*", help="further arguments for terraform plan")
    options = parser.parse_args(arguments)
    out = os.environ.get("OUT", "")
    environment = load_environment(os.environ)
    with installed_terraform(os.environ) as terraform, plans_folder(out) as plans:
        stacks = plan_stacks(
            environment, terraform, plans, *options.extra, parallel=parallel_limit(os.environ)
        )
    if len(stacks) > 1:
        for stack in stacks:
            print(stack.words)
    forgotten = notes(environment, (stack.region for stack in stacks if stack.new))
    print(summary(stacks), *forgotten, sep="\n", flush=True)
    warn(stacks)
    if out:
        print(
            f"The plans are in {out}; they hold secrets in clear text. To apply them: "
            f"make deploy-infra PLAN={out}"
        )


if __name__ == "__main__":
    sys.exit(exit_code(main))
