"""The CDKTF app: `python -m infra.main` writes `cdktf.out/` (or the folder `CDKTF_OUTDIR`)."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from infra.config.environment import EnvironmentConfig, load_environment
from shared.cli.errors import exit_code
from shared.cli.stamp import Stamp, digest

_ROOT = Path(__file__).resolve().parent.parent


def synthesize(environment: EnvironmentConfig, *, states: bool = True) -> None:
    """Write the Terraform JSON of the environment's stacks to its output folder.

    With `states`, the stacks of the state buckets are among them. Does nothing if the folder is up
    to date.
    """
    # Computed before anything is read, so that a source that changes meanwhile is not missed.
    stamp = _stamp(environment, states=states)
    if stamp.current():
        return
    from infra.provider.bindings import App
    from infra.stacks.data_platform import DataPlatform
    from infra.stacks.state_backend import StateBackend
    from shared.contract.loader import load_contract

    # jsii makes the folder itself, but not those that it is in.
    environment.out_dir.mkdir(parents=True, exist_ok=True)
    app = App(outdir=str(environment.out_dir))
    contract = load_contract()
    for region in environment.regions:
        if states:
            StateBackend(app, environment=environment, region=region.region)
        DataPlatform(app, environment=environment, region=region, contract=contract)
    app.synth()
    # CDKTF's own program runs Terraform there, which keeps a state that it cannot upload in a file.
    (environment.out_dir / "stacks").chmod(0o700)
    stamp.write()


def _stamp(environment: EnvironmentConfig, *, states: bool) -> Stamp:
    # The versions of all installed packages, CDKTF and the provider's among them.
    installed = sorted(file.name for path in sys.path for file in Path(path).glob("*.dist-info"))
    # What CDKTF itself reads.
    variables = sorted((k, v) for k, v in os.environ.items() if k.startswith(("CDKT", "SYNTH_")))
    inputs = (environment, states, sys.version, installed, variables, digest(_ROOT, _sources()))
    folder = environment.out_dir

    def outputs() -> str:
        stacks = sorted(folder.glob("stacks/*/cdk.tf*"))
        return digest(folder, [folder / "manifest.json", *stacks])

    return Stamp(folder / "synthesized.sha256", repr(inputs), outputs)


def _sources() -> Iterator[Path]:
    for package in ("infra", "shared"):
        for folder, folders, files in os.walk(_ROOT / package):
            generated = {name for name in folders if name.startswith(".")}
            folders[:] = sorted({*folders} - {"cdktf.out", "__pycache__"} - generated)
            # Editors keep hidden files next to open ones, among them links that lead nowhere.
            sources = (name for name in sorted(files) if not name.startswith("."))
            yield from (Path(folder, name) for name in sources)


def main(variables: Mapping[str, str] = os.environ) -> None:
    """Synthesize the environment that the process environment describes."""
    synthesize(load_environment(variables))


if __name__ == "__main__":
    sys.exit(exit_code(main))
