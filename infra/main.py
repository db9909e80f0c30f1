"""The CDKTF app: `python -m infra.main` writes `cdktf.out/` (or the folder `CDKTF_OUTDIR`)."""

import os
import sys
from collections.abc import Mapping

from infra.config import EnvironmentConfig, load_environment
from infra.stamp import Stamp
from shared.errors import exit_code


def synthesize(environment: EnvironmentConfig) -> None:
    """Write the Terraform JSON of all the environment's stacks to its output folder.

    Nothing is done if the folder holds them already.
    """
    stamp = Stamp(environment)
    if stamp.current():
        return
    from infra.bindings import App
    from infra.stacks.data_platform import DataPlatform
    from infra.stacks.state_backend import StateBackend
    from shared.contract import load_contract

    app = App(outdir=str(environment.out_dir))
    contract = load_contract()
    for region in environment.regions:
        StateBackend(app, environment=environment, region=region.region)
        DataPlatform(app, environment=environment, region=region, contract=contract)
    app.synth()
    stamp.write()


def main(variables: Mapping[str, str] = os.environ) -> None:
    """Synthesize the environment that the process environment describes."""
    synthesize(load_environment(variables))


if __name__ == "__main__":
    sys.exit(exit_code(main))
