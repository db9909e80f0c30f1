"""The environment of local commands, whatever the user's shell has set."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

from local.emulator.installation import Installation
from local.platform import aws_variables

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Installation(Path("/somewhere/.local"), 14560)
# Each of these once sent a local command to AWS, or away from the emulator.
FOREIGN = {
    "AWS_PROFILE": "production",
    "AWS_DEFAULT_PROFILE": "production",
    "AWS_SESSION_TOKEN": "token",
    "AWS_CA_BUNDLE": "/etc/company.pem",
    "AWS_ENDPOINT_URL_SSM": "https://ssm.us-east-1.amazonaws.com",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/deployer",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/token",
}


def test_no_setting_for_real_accounts_reaches_a_local_command() -> None:
    variables = aws_variables(SETTINGS, {**FOREIGN, "PATH": "/usr/bin"})
    assert not FOREIGN.keys() & variables.keys()
    assert variables["AWS_ENDPOINT_URL"] == SETTINGS.url
    assert variables["PATH"] == "/usr/bin"


def test_no_proxy_stands_between_a_local_command_and_the_emulator() -> None:
    proxies = {"HTTP_PROXY": "http://proxy:3128", "no_proxy": "intranet,localhost"}
    variables = aws_variables(SETTINGS, proxies)
    # Packages still come through the proxy.
    assert variables["HTTP_PROXY"] == "http://proxy:3128"
    for spelling in ("NO_PROXY", "no_proxy"):
        assert variables[spelling].split(",") == ["intranet", "localhost", "127.0.0.1"]


def test_the_printed_variables_take_the_users_own_out_of_a_shell(tmp_path: Path) -> None:
    own = {"LOCAL_DIR": str(tmp_path / "with space"), "PATH": os.environ["PATH"], "HOME": "/root"}
    printed = subprocess.run(
        [sys.executable, "-m", "local.platform", "env"],
        cwd=ROOT,
        env={**own, **FOREIGN},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    shell = subprocess.run(
        [
            "sh",
            "-euc",
            f"{printed}\nexec {shlex.quote(sys.executable)} -c "
            "'import json, os; print(json.dumps(dict(os.environ)))'",
        ],
        env={**own, **FOREIGN},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert not [name for name in FOREIGN if f'"{name}":' in shell]
    assert str(tmp_path / "with space") in shell
