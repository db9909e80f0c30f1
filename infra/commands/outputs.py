"""Prints the outputs of both halves of an environment."""

import json
import os
import sys
from collections.abc import Mapping

from infra.config.environment import EnvironmentConfig, load_environment
from infra.main import synthesize
from infra.terraform.backend import backend_arguments, stack_folder
from infra.terraform.program import installed_terraform
from shared.cli.aws import find_stack
from shared.cli.errors import UserError, exit_code
from shared.naming import check_service_stage, service_stack_name, snake_case

Outputs = Mapping[str, object]


def main() -> None:
    """Print the outputs of both halves by region: a table, or with `JSON=1` one JSON document.

    With `NAME`, print only that output's value, one line per region. A half that is not
    deployed has no outputs. With `SERVICE_STAGE`, the service's outputs are those of a preview.

    Raises:
        UserError: Terraform or AWS does not answer, or a region has no output of that name.
    """
    environment = load_environment(os.environ)
    stage = check_service_stage(os.environ.get("SERVICE_STAGE", ""))
    outputs = environment_outputs(environment, stage)
    if name := os.environ.get("NAME"):
        for region, found in outputs.items():
            if name not in found:
                raise UserError(
                    f"NAME {name!r}: there is no such output in {region}; use one of "
                    f"{', '.join(found) or 'none: nothing is deployed'}"
                )
            print(found[name])
        return
    if os.environ.get("JSON") == "1":
        print(json.dumps(outputs, indent=2))
        return
    for region, found in outputs.items():
        print(f"{region}, {environment.suffix}")
        for name, value in found.items():
            print(f"  {name:<36}{value}")
        if not found:
            print("  nothing is deployed: run `make deploy-infra`, then `make deploy-service`")


def environment_outputs(environment: EnvironmentConfig, stage: str = "") -> dict[str, Outputs]:
    """The outputs of both halves of each region; those of the service in snake case as well.

    Raises:
        UserError: Terraform or AWS does not say.
    """
    synthesize(environment)
    found: dict[str, Outputs] = {}
    with installed_terraform(os.environ) as terraform:
        for region in (region.region for region in environment.regions):
            folder = stack_folder(environment, region)
            terraform.init(folder, *backend_arguments(environment, region))
            found[region] = {
                **terraform.outputs(folder),
                **_service_outputs(region, service_stack_name(region, environment.suffix, stage)),
            }
    return found


def _service_outputs(region: str, stack: str) -> Outputs:
    found = find_stack(stack, region)
    outputs = found.get("Outputs", []) if found else []
    return {snake_case(output["OutputKey"]): output["OutputValue"] for output in outputs}


if __name__ == "__main__":
    sys.exit(exit_code(main))
