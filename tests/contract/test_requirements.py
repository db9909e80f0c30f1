"""Each half installs what it imports, in the versions that both are tested with."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"infra": ("infra", "shared"), "service": ("service/deploy", "service/tools", "shared")}
PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """The version of each package that a file of requirements pins."""
    return dict(PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text()))


def imported(folder: str) -> set[str]:
    """The top-level names that the modules of a folder import, at any place."""
    found = set()
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("half", FOLDERS)
def test_a_half_pins_what_it_imports(half: str) -> None:
    distributions = packages_distributions()
    names = {name for folder in FOLDERS[half] for name in imported(folder)}
    packages = {
        distribution.lower().replace("_", "-")
        for name in names - sys.stdlib_module_names
        if not name.startswith("mypy_boto3_")  # types, which a type checker alone imports
        for distribution in distributions.get(name, ())
    }
    assert {"boto3", "packaging"} <= packages
    assert packages <= pins(half).keys()


@pytest.mark.parametrize("half", FOLDERS)
def test_a_half_is_deployed_with_the_versions_that_are_tested(half: str) -> None:
    assert pins(half).items() <= pins("dev").items()


def test_what_one_half_needs_alone_does_not_touch_the_other() -> None:
    assert "aws-sam-cli" not in pins("infra")
    assert "cdktf" not in pins("service")


def test_the_update_bot_watches_every_folder_with_pinned_packages() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    files = [Path(name) for name in listed.stdout.splitlines()]
    found = {f"/{file.parent}" for file in files if file.name == "package-lock.json"}
    found |= {
        f"/{file.parent}"
        for file in files
        if file.suffix == ".txt" and "--hash=sha256:" in (ROOT / file).read_text()
    }
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    watched = {
        folder
        for update in updates
        if update["package-ecosystem"] in {"npm", "uv"}
        for folder in update["directories"]
    }
    assert watched == found
