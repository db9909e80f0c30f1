"""The ways out of CDKTF, as docs/how-to/leave-cdktf.md describes them."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.synthesized import EVERYTHING, REGIONS, VARIANTS, Stack, variant

ROOT = Path(__file__).resolve().parents[2]

FORK = {"cdktf_cdktf_provider_aws": "cdktn_provider_aws", "cdktf": "cdktn"}
FORK_PYTHON = ROOT / ".venv-cdktn" / "bin" / "python"

# Synthesizes each environment file into its own folder.
PROGRAM = """
import os, sys
from infra.config.environment import load_environment
from infra.main import synthesize
for file in sys.argv[1:]:
    variables = {**os.environ, "ENVIRONMENT_FILE": file, "CDKTF_OUTDIR": file + ".out"}
    synthesize(load_environment(variables))
"""


def test_one_module_alone_knows_cdktf() -> None:
    knowing = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "infra").rglob("*.py")
        if "cdktf.out" not in file.parts
        and any(
            line.lstrip().startswith(("import cdktf", "from cdktf"))
            for line in file.read_text().splitlines()
        )
    }
    assert knowing == {"infra/provider/bindings.py"}


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All variants, synthesized with the fork."""
    project = tmp_path_factory.mktemp("moved")
    for package in ("infra", "shared"):
        ignored = shutil.ignore_patterns("cdktf.out", ".gen", "__pycache__")
        shutil.copytree(ROOT / package, project / package, ignore=ignored)
    seam = project / "infra" / "provider" / "bindings.py"
    for old, new in FORK.items():
        seam.write_text(seam.read_text().replace(old, new))
    files = []
    for name in VARIANTS:
        file = project / name
        file.write_text(EVERYTHING.read_text() if name == "everything" else f'profile = "{name}"')
        files.append(str(file))
    finished = subprocess.run(
        [FORK_PYTHON, "-c", PROGRAM, *files],
        cwd=project,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "REGIONS": ",".join(REGIONS),
            "ENVIRONMENT_SUFFIX": "qa",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return project


@pytest.mark.parametrize("name", VARIANTS)
def test_the_living_fork_synthesizes_the_same_stacks(name: str, forked: Path) -> None:
    for stack in variant(name).values():
        own = stack.document
        moved = json.loads(
            (forked / f"{name}.out" / "stacks" / stack_name_of(stack) / "cdk.tf.json").read_text()
        )
        assert moved["//"]["metadata"]["version"] != own["//"]["metadata"]["version"]
        # Resource by resource first, so that a difference is a short one.
        assert moved["resource"].keys() == own["resource"].keys()
        for type_, resources in own["resource"].items():
            assert moved["resource"][type_] == resources
        assert without_version(moved) == without_version(own)


def stack_name_of(stack: Stack) -> str:
    return str(stack.document["//"]["metadata"]["stackName"])


def without_version(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without CDKTF's own version, and with the provider's source in full."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    del copy["//"]["metadata"]["version"]
    provider = copy["terraform"]["required_providers"]["aws"]
    if provider["source"] == "aws":  # short for the same
        provider["source"] = "hashicorp/aws"
    return copy
