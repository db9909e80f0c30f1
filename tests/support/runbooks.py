"""Runs the commands of the runbooks unchanged."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# This version of the AWS CLI ignores AWS_ENDPOINT_URL for RDS in us-east-1.
_AWS = f'aws() {{ "{ROOT}/.venv-checks/bin/aws" --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }}\n'


def commands(page: str, folder: str = "runbooks") -> list[str]:
    """The commands of a runbook or another page, block by block."""
    text = (ROOT / "docs" / folder / f"{page}.md").read_text()
    return re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(script: str, variables: Mapping[str, str], **more: str) -> str:
    """Run bash, which must succeed; returns its output."""
    finished = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _AWS + script],
        cwd=ROOT,
        env={**variables, **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout
    return finished.stdout
