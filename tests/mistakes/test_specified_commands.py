"""The commands that the platform was specified with work as they stand, in all regions.

CDKTF's own program synthesizes, deploys and destroys; a curl goes to the address in the outputs.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.terraform.program import cli_config, find_mirror
from shared.regions import REGIONS
from tests.mistakes.mistakes import DEV, STANDARD
from tests.mistakes.operator import ROOT, Shop

CDKTF = ROOT / ".cache" / "cdktf" / "node_modules" / ".bin" / "cdktf"
SUFFIX = "spec"
STACKS = [f"trading-platform-{region.code}-{SUFFIX}" for region in REGIONS.values()]
SPECIFIED = {
    "api_gateway_url",
    "kms_key_id",
    "lambda_function_name",
    "rds_cluster_endpoint",
    "rds_cluster_reader_endpoint",
    "s3_bucket_name",
    "vpc_id",
}


@pytest.fixture(scope="module")
def shell(shops: Mapping[str, Shop]) -> Iterator[Shell]:
    """A shell in infra/, whose variables name an environment in all regions."""
    shop = Shop(shops[DEV].settings, shops[DEV].folder.parent / SUFFIX, SUFFIX, {"profile": "dev"})
    variables = shop.variables(REGIONS=",".join(REGIONS), CI="1", PARALLEL="2")
    with cli_config(variables) as complete:
        yield Shell(complete)


class Shell:
    """Runs commands as they stand; each must succeed."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = {
            **variables,
            "PATH": f"{CDKTF.parent}:{ROOT}/.venv/bin:{variables['PATH']}",
            "SERVICE_PARAMETERS": "ApiAuthorization=NONE",
        }

    def cdktf(self, command: str, *, succeeds: bool = True, **more: str) -> str:
        """What a command of CDKTF's program prints."""
        # It has Terraform look the provider up once more.
        if mirror := find_mirror(self._variables.get("TF_PLUGIN_MIRROR")):
            more = {**more, "TF_CLI_ARGS_providers_lock": f"-fs-mirror={mirror}"}
        return self.run(command, ROOT / "infra", succeeds=succeeds, **more)

    def run(self, command: str, folder: Path = ROOT, *, succeeds: bool = True, **more: str) -> str:
        """What the command prints."""
        finished = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env={**self._variables, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (finished.returncode == 0) == succeeds, finished.stdout
        return finished.stdout


def test_synth_names_one_stack_for_each_region(shell: Shell) -> None:
    said = shell.cdktf("cdktf synth")
    assert all(stack in said for stack in STACKS)
    assert "trading-platform-state" not in said


def test_deploy_curl_and_destroy(shell: Shell, shops: Mapping[str, Shop], tmp_path: Path) -> None:
    said = shell.cdktf("cdktf deploy '*' --auto-approve")
    assert said.count("Apply complete!") == len(STACKS)
    outputs = json.loads(shell.run("make -s outputs JSON=1"))
    assert list(outputs) == list(REGIONS)
    shell.run("make -s deploy-service")
    found: Any = json.loads(shell.run("make -s outputs JSON=1"))
    for region in REGIONS:
        assert found[region].keys() >= SPECIFIED
        url = f'"$(make -s outputs REGIONS={region} NAME=api_gateway_url)"'
        order = """-d '{"symbol":"AAPL","quantity":100}'"""
        booked = json.loads(shell.run(f"curl -fsS -X POST {url} {order}"))
        assert (booked["region"], booked["environment"]) == (region, SUFFIX)

    # An edit that replaces the database is refused here as well.
    file = tmp_path / "spec.toml"
    file.write_text('profile = "dev"\n[database]\nname = "ledger"\n')
    refused = shell.cdktf(
        "cdktf deploy '*' --auto-approve", succeeds=False, ENVIRONMENT_FILE=str(file)
    )
    assert "another database.name replaces the cluster" in refused
    shell.run("make -s destroy-service")
    said = shell.cdktf("cdktf destroy '*' --auto-approve")
    assert said.count("Destroy complete!") == len(STACKS)
    assert shops[STANDARD].trades()
