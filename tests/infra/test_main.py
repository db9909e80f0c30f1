"""When a synthesis is skipped because its result exists, and when it is not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.config.environment import load_environment
from infra.main import synthesize

ROOT = Path(__file__).resolve().parents[2]
STACK = Path("stacks", "trading-platform-useast1-qa", "cdk.tf.json")


def written(folder: Path, **variables: str) -> bool:
    """Synthesize into the folder; whether that wrote its stack."""
    file = folder / STACK
    before = file.stat().st_mtime_ns if file.exists() else 0
    variables = {"CDKTF_OUTDIR": str(folder), "ENVIRONMENT_SUFFIX": "qa", **variables}
    synthesize(load_environment(variables))
    return file.stat().st_mtime_ns != before


def test_an_unchanged_environment_is_not_synthesized_again(tmp_path: Path) -> None:
    assert written(tmp_path)
    assert not written(tmp_path)


def test_cdktf_is_not_loaded_if_nothing_is_synthesized(tmp_path: Path) -> None:
    program = "import sys; from infra.main import main; main(); print('jsii' in sys.modules)"
    command = [sys.executable, "-c", program]
    environment = {"PATH": os.environ["PATH"], "CDKTF_OUTDIR": str(tmp_path)}
    loaded = [
        subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
        for _ in range(2)
    ]
    assert loaded == [b"True\n", b"False\n"]
    program = "import sys; from infra.commands import deploy; print('jsii' in sys.modules)"
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, env=environment) == b"False\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / STACK).write_text("{}"),
        lambda folder: (folder / STACK).unlink(),
        lambda folder: (folder / "manifest.json").unlink(),
        shutil.rmtree,
    ],
)
def test_what_was_synthesized_is_restored(change: Callable[[Path], object], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    written(folder)
    text = (folder / STACK).read_text()
    change(folder)
    assert written(folder)
    assert (folder / STACK).read_text() == text


def test_a_folder_whose_parents_are_gone_is_made(tmp_path: Path) -> None:
    # As after `make down PURGE=1`, in a shell that still names the purged folder.
    assert written(tmp_path / "purged" / "cdktf.out")


def test_another_setting_is_synthesized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    written(folder)
    assert written(folder, STATE="local")
    file = tmp_path / "qa.toml"
    file.write_text("[storage]\nexpiration_days = 1\n")
    assert written(folder, ENVIRONMENT_FILE=str(file))
    file.write_text("[storage]\nexpiration_days = 2\n")
    assert written(folder, ENVIRONMENT_FILE=str(file))
    # CDKTF reads this one.
    monkeypatch.setenv("CDKTF_CONTEXT_JSON", '{"key": "value"}')
    assert written(folder, ENVIRONMENT_FILE=str(file))


def test_another_version_of_a_package_is_synthesized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path)
    (tmp_path / "cdktf-99.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert written(tmp_path)


def test_a_changed_source_is_synthesized(tmp_path: Path) -> None:
    for package in ("infra", "shared"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("cdktf.out")
        )

    def synthesized() -> str:
        subprocess.run(
            [sys.executable, "-m", "infra.main"], cwd=tmp_path, env=environment, check=True
        )
        return (tmp_path / "infra" / "cdktf.out" / STACK).read_text()

    environment = {"PATH": os.environ["PATH"], "ENVIRONMENT_SUFFIX": "qa"}
    # As an editor locks a file that is open.
    (tmp_path / "infra" / ".#main.py").symlink_to("someone@somewhere.1:2")
    synthesized()
    for source, old in (
        ("infra/constructs/database.py", "TLS only, utf8mb4"),
        ("shared/contract.toml", "The VPC that holds the database"),
    ):
        file = tmp_path / source
        file.write_text(file.read_text().replace(old, "Something else"))
        assert "Something else" in synthesized()
        file.write_text(file.read_text().replace("Something else", old))
