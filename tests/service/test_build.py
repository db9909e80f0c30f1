"""The packages that `sam build` makes with service/Makefile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.conftest import ROOT

FUNCTIONS = ("Trade", "Migration", "Archive", "SmokeCheck", "Documentation")
# https://peps.python.org/pep-0552/: of a hash, and not to be compared with the source at each start
UNCHECKED_HASH = 0b01


def build(function: str, folder: Path, python: str) -> dict[str, bytes]:
    """Build a function with compiled files of `python`: its files by their path."""
    folder.mkdir()
    subprocess.run(
        ["make", "-s", "-C", ROOT / "service", f"build-{function}Function"],
        env={**os.environ, "ARTIFACTS_DIR": str(folder), "FUNCTION_PYTHON": python},
        check=True,
    )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_same_source_is_the_same_package_with_all_of_it_compiled(
    function: str, tmp_path: Path
) -> None:
    first = build(function, tmp_path / "first", sys.executable)
    assert build(function, tmp_path / "second", sys.executable) == first
    compiled = [name for name in first if name.endswith(".pyc")]
    assert len(compiled) == len([name for name in first if name.endswith(".py")])
    assert {int.from_bytes(first[name][4:8], "little") for name in compiled} == {UNCHECKED_HASH}
    assert not any(str(tmp_path).encode() in first[name] for name in compiled)


def test_the_layer_is_built_in_a_folder_with_a_space_in_its_name(tmp_path: Path) -> None:
    copy = tmp_path / "with a space"
    (copy / "dependencies").mkdir(parents=True)
    for file in ("Makefile", "dependencies/Makefile"):
        shutil.copy(ROOT / "service" / file, copy / file, follow_symlinks=False)
    finished = subprocess.run(
        # As SAM calls it, in a folder with a copy of the sources.
        ["make", "-n", "--makefile", copy / "dependencies" / "Makefile", "build-DependenciesLayer"],
        cwd=copy / "dependencies",
        env={**os.environ, "ARTIFACTS_DIR": str(copy / "artifacts")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f'--target "{copy}/artifacts/python"' in finished.stdout, finished.stderr


def test_no_virtual_environment_of_a_folder_above_is_started(tmp_path: Path) -> None:
    """SAM builds in a folder of /tmp, where any user of the machine can leave one."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\ntouch '{tmp_path}/started'\nexec '{sys.executable}' \"$@\"\n")
    python.chmod(0o755)
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "requirements.txt").touch()
    makefile = ROOT / "service" / "dependencies" / "Makefile"
    hiding = ("FUNCTION_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX")
    subprocess.run(
        ["make", "-s", "--makefile", makefile, "build-DependenciesLayer"],
        cwd=scratch,
        env={
            **{name: value for name, value in os.environ.items() if name not in hiding},
            "ARTIFACTS_DIR": str(tmp_path / "artifacts"),
        },
        check=True,
    )
    assert not (tmp_path / "started").exists()


def test_without_the_functions_python_the_package_is_the_source_alone(tmp_path: Path) -> None:
    assert not any(name.endswith(".pyc") for name in build("Trade", tmp_path / "package", ""))
