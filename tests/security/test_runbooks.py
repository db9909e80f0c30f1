"""Runbook commands that cannot be carried out here are held against the AWS CLI's own models."""

import os
import re
import subprocess

from tests.runbooks import ROOT

RESTORE = (ROOT / "docs" / "runbooks" / "restore.md").read_text()
# With a skeleton as the answer, the CLI checks the arguments and calls nothing. Waiters have none.
_CHECKED = 'aws() { [ "$2" = wait ] || "$CLI" "$@" --generate-cli-skeleton output > /dev/null; }\n'


def test_aws_knows_every_argument_of_a_restore() -> None:
    script = "".join(re.findall(r"^```sh\n(.*?)^```$", RESTORE, re.MULTILINE | re.DOTALL))
    assert script.count("aws rds") == 10
    finished = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _CHECKED + script],
        env={
            **os.environ,
            "CLI": str(ROOT / ".venv-checks" / "bin" / "aws"),
            "REGION": "us-east-1",
            "ENVIRONMENT_SUFFIX": "qa",
            "TIME": "2026-01-31T09:30:00Z",
            "SECURITY_GROUP": "sg-1",
            "KEY": "alias/trading-us-east-1-qa",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
