"""The bill of materials of both halves, and the audit of what is no Python package."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "requirements" / "bill.py"
CHECKS = ROOT / ".venv-checks" / "bin" / "python"

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
if problem:
    sys.exit(str(problem))
"""


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, PROGRAM, *arguments]
    return subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


def names(bill: dict[str, Any], ecosystem: str) -> set[str]:
    """The names of a bill's parts of an ecosystem."""
    parts = bill["components"]
    return {part["name"] for part in parts if part["purl"].startswith(f"pkg:{ecosystem}/")}


@pytest.mark.parametrize("half", ["infra", "service"])
def test_a_bill_is_valid_and_the_same_each_time(half: str) -> None:
    text = run(half).stdout
    validated = subprocess.run(
        [CHECKS, "-c", VALIDATE], input=text, capture_output=True, text=True, check=False
    )
    assert (validated.returncode, validated.stderr) == (0, "")
    assert run(half).stdout == text


def test_the_bills_have_every_pinned_package_with_its_hashes() -> None:
    for half, lock in (
        ("infra", ROOT / "requirements" / "infra.txt"),
        ("service", ROOT / "service" / "dependencies" / "requirements.txt"),
    ):
        bill = json.loads(run(half).stdout)
        text = lock.read_text()
        assert names(bill, "pypi") >= set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
        hashes = set(re.findall(r'"content": "([0-9a-f]{64})"', json.dumps(bill)))
        assert hashes >= set(re.findall(r"sha256:([0-9a-f]{64})", text))


def test_the_bill_of_infra_has_what_its_wheels_and_terraform_bring() -> None:
    bill = json.loads(run("infra").stdout)
    assert names(bill, "golang") == {
        "github.com/hashicorp/terraform",
        "github.com/hashicorp/terraform-provider-aws",
    }
    assert names(bill, "npm") >= {"cdktf", "constructs", "@cdktf/provider-aws", "minimatch"}


class Osv(BaseHTTPRequestHandler):
    """Knows one vulnerability of Terraform and one of a Node package."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert query.keys() == {"package", "version"}
        package = query["package"]
        assert package.keys() == {"name", "ecosystem"}
        known = {("npm", "minimatch"), ("Go", "github.com/hashicorp/terraform")}
        hit = self.path == "/known" and (package["ecosystem"], package["name"]) in known
        found = {"vulns": [{"id": "GHSA-1", "summary": "made up"}]} if hit else {}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def database() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_vulnerable_part_of_node_or_terraform_is_named(database: str) -> None:
    finished = run("audit", PIP_AUDIT_OSV_URL=f"{database}/known")
    assert finished.returncode == 1
    assert "github.com/hashicorp/terraform 1.11.4: GHSA-1 made up" in finished.stdout
    assert "minimatch" in finished.stdout
    assert finished.stderr.startswith("error: vulnerable parts")


def test_parts_without_known_vulnerabilities_pass(database: str) -> None:
    finished = run("audit", PIP_AUDIT_OSV_URL=f"{database}/nothing")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "no known vulnerabilities" in finished.stdout


def test_without_a_vulnerability_database_no_part_passes() -> None:
    finished = run("audit", PIP_AUDIT_OSV_URL="http://127.0.0.1:1/")
    assert finished.returncode == 1
    assert re.fullmatch("error: .* were not audited: .*\n", finished.stderr)
    assert finished.stdout == ""
