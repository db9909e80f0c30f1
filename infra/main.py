"""The CDKTF app: `python -m infra.main` writes `cdktf.out/` (or the folder `CDKTF_OUTDIR`)."""

import os
import sys
from collections.abc import Mapping

from infra.bindings import App
from infra.config import EnvironmentConfig, load_environment
from infra.stacks.data_platform import DataPlatform
from infra.stacks.state_backend import StateBackend
from shared.contract import load_contract
from shared.errors import exit_code


def synthesize(environment: EnvironmentConfig) -> None:
    """Write the Terraform JSON of all the environment's stacks to its output folder."""
    app = App(outdir=str(environment.out_dir))
    contract = load_contract()
    for region in environment.regions:
        StateBackend(app, environment=environment, region=region.region)
        DataPlatform(app, environment=environment, region=region, contract=contract)
    app.synth()


def main(variables: Mapping[str, str] = os.environ) -> None:
    """Synthesize the environment that the process environment describes."""
    synthesize(load_environment(variables))


if __name__ == "__main__":
    sys.exit(exit_code(main))
