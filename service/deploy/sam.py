"""Runs the SAM CLI."""

import os
import subprocess
import tempfile
import tomllib
from pathlib import Path

from shared.cli.errors import UserError

CONFIG = Path(__file__).parents[1] / "samconfig.toml"


class SamFailed(UserError):
    """SAM ended with an error, which it has printed."""


def run_sam(*arguments: str) -> None:
    """Run `sam` with these arguments.

    Raises:
        SamFailed: it failed.
    """
    # SAM leaves a temporary folder for each file that it uploads.
    with tempfile.TemporaryDirectory(prefix="sam-") as folder:
        finished = subprocess.run(
            ["sam", *arguments], env={**os.environ, "TMPDIR": folder}, check=False
        )
    if finished.returncode != 0:
        raise SamFailed(f"sam {arguments[0]} failed; its output above says why")


def override(name: str, value: str) -> str:
    """A parameter as the SAM CLI reads it. It is quoted: it may be empty or have spaces."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


def check_config(config: Path = CONFIG) -> None:
    """Do nothing if SAM's configuration lets CloudFormation wait for the migrations.

    With the option `express`, `sam deploy` does not wait for every resource, and custom resources
    are not supported: code could take calls before its tables exist.

    Raises:
        UserError: the configuration asks for it.
    """
    for environment, commands in tomllib.loads(config.read_text()).items():
        if isinstance(commands, dict):
            for command, sections in commands.items():
                if sections.get("parameters", {}).get("express"):
                    raise UserError(
                        f"{config.name}: [{environment}.{command}.parameters] express: remove it; "
                        "a release must wait for the migrations"
                    )
