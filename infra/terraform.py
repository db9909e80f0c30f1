"""Runs Terraform on the synthesized stacks: `python -m infra.terraform apply`."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from infra.config import load_environment
from infra.main import synthesize
from shared.errors import UserError, exit_code

_COMMANDS: Mapping[str, Sequence[str]] = {
    "init": (),
    "validate": (),
    "plan": ("-input=false",),
    "apply": ("-input=false", "-auto-approve"),
    "destroy": ("-input=false", "-auto-approve"),
    "output": (),
}
_REGISTRY = "registry.terraform.io"
_NO_PROVIDER = "Failed to query available provider packages"


def main(arguments: Sequence[str] | None = None) -> None:
    """Synthesize the environment's stacks and run one Terraform command on each of them.

    Arguments after `--` go to Terraform as they are.

    Raises:
        UserError: Terraform is missing, or failed; it has said why.
    """
    parser = argparse.ArgumentParser(prog="python -m infra.terraform", description=__doc__)
    parser.add_argument("command", choices=list(_COMMANDS))
    parser.add_argument("extra", nargs="*", help="further arguments for Terraform")
    options = parser.parse_args(arguments)
    terraform = shutil.which("terraform")
    if terraform is None:
        raise UserError("terraform is not on PATH: run `make setup`")
    environment = load_environment(os.environ)
    if options.command == "destroy":
        environment.check_destroyable()
    environment.state_dir.mkdir(parents=True, exist_ok=True)
    synthesize(environment)
    with cli_config(os.environ) as variables:
        for stack in environment.stack_names():
            _run_stack(
                terraform,
                environment.out_dir / "stacks" / stack,
                options.command,
                options.extra,
                variables,
            )


def _run_stack(
    terraform: str, folder: Path, command: str, extra: Sequence[str], variables: Mapping[str, str]
) -> None:
    print(f"==> {folder.name}: terraform {command}", flush=True)
    plain = [] if sys.stdout.isatty() else ["-no-color"]
    steps = [["init", "-input=false", *plain]]
    if command != "init":
        steps.append([command, *_COMMANDS[command], *plain, *extra])
    for step in steps:
        quiet = step[0] == "init" and command != "init"
        finished = subprocess.run(
            [terraform, f"-chdir={folder}", *step],
            env=dict(variables),
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            check=False,
        )
        if finished.returncode != 0:
            if quiet:
                print(finished.stdout, file=sys.stderr)
            if quiet and _NO_PROVIDER in finished.stdout:
                raise UserError(
                    "Terraform could not get the AWS provider: let this machine reach the "
                    "Terraform registry, or name an unpacked mirror in TF_PLUGIN_MIRROR"
                )
            raise UserError(
                f"terraform {step[0]} failed for {folder.name}; its output above says why"
            )


@contextmanager
def cli_config(variables: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Environment variables for Terraform: with a mirror of the providers, if there is one.

    A configuration file of the user's own is left alone. The one for a mirror is temporary.

    Raises:
        UserError: `TF_PLUGIN_MIRROR` names a folder that is not a mirror.
    """
    environment = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", **variables}
    own_config = environment.get("TF_CLI_CONFIG_FILE")
    if own_config and Path(own_config).is_file():
        yield environment
        return
    # Terraform warns of a configuration file that is named but missing.
    environment.pop("TF_CLI_CONFIG_FILE", None)
    mirror = find_mirror(environment.get("TF_PLUGIN_MIRROR"))
    if mirror is None:
        yield environment
        return
    with tempfile.NamedTemporaryFile("w", suffix=".tfrc") as config:
        config.write(
            "provider_installation {\n"
            f'  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n'
            f'  direct {{\n    exclude = ["{_REGISTRY}/hashicorp/aws"]\n  }}\n'
            "}\n"
        )
        config.flush()
        yield {**environment, "TF_CLI_CONFIG_FILE": config.name}


def find_mirror(named: str | None, root: Path = Path("/")) -> Path | None:
    """The folder of an unpacked filesystem mirror of Terraform providers, or None.

    `named` is `TF_PLUGIN_MIRROR`; without it, a folder `registry.terraform.io` is looked for up to
    two levels below `root`.

    Raises:
        UserError: the named folder is not a mirror.
    """
    if named:
        if not (Path(named) / _REGISTRY).is_dir():
            raise UserError(f"TF_PLUGIN_MIRROR {named}: there is no folder {_REGISTRY} in it")
        return Path(named).resolve()
    found = sorted(path for depth in ("*", "*/*") for path in root.glob(f"{depth}/{_REGISTRY}"))
    return found[0].parent if found else None


if __name__ == "__main__":
    sys.exit(exit_code(main))
