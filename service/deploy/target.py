"""What a command of the release tool is about, read once from the environment variables."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.deploy.build import built_template
from service.deploy.parameters import chosen_parameters
from shared.cli.errors import exit_code
from shared.naming import (
    check_environment_suffix,
    check_regions,
    check_service_stage,
    service_stack_name,
)


@dataclass(frozen=True)
class Copy:
    """One copy of the service: an environment's own in a region or, with a stage, a preview."""

    region: str
    environment: str
    stage: str = ""

    @property
    def stack(self) -> str:
        """The name of its stack."""
        return service_stack_name(self.region, self.environment, self.stage)


@dataclass(frozen=True)
class Target:
    """The copies of the service that a command works on.

    `parameters` are those of the template that the environment's file and the command's variables
    choose. `template` is the built one. `variables` are for what one command alone reads, such as
    `TO` and `EVENT`.
    """

    environment: str
    stage: str
    regions: tuple[str, ...]
    parameters: Mapping[str, str]
    template: Path
    variables: Mapping[str, str]

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> "Target":
        """Read `ENVIRONMENT_SUFFIX`, `SERVICE_STAGE`, `REGIONS`, `BUILD_DIR` and the parameters.

        Raises:
            UserError: a variable or the environment's file has a value that cannot be used.
        """
        environment = check_environment_suffix(variables.get("ENVIRONMENT_SUFFIX", "dev"))
        return cls(
            environment=environment,
            stage=check_service_stage(variables.get("SERVICE_STAGE", "")),
            regions=check_regions(variables.get("REGIONS", "us-east-1")),
            parameters=chosen_parameters(environment, variables),
            template=built_template(variables),
            variables=variables,
        )

    @property
    def copies(self) -> tuple[Copy, ...]:
        """One copy of the service in each region."""
        return tuple(Copy(region, self.environment, self.stage) for region in self.regions)


def main() -> None:
    """Check the variables before anything is built: `python -m service.deploy.target`.

    Raises:
        UserError: a variable or the environment's file has a value that cannot be used.
    """
    Target.from_environment()


if __name__ == "__main__":
    sys.exit(exit_code(main))
