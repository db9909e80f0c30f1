"""What `make up` shows while a deploy runs."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from local import platform
from shared.cli.table import fit

APPLY = "aws_rds_cluster_instance.database_writer: Still creating... [01m20s elapsed]"


def shown(folder: Path) -> None:
    log = folder / "deploy-infra.log"
    with log.open("wb") as output:
        command = ("sh", "-c", f"echo '{APPLY}'; sleep 0.4")
        process = subprocess.Popen(command, stdout=output)
        platform._show_progress("deploy-infra", process, log)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "_PROGRESS_SECONDS", 0.05)


def test_a_pipe_gets_a_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "_HEARTBEAT_SECONDS", 0.15)
    shown(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert f"     0 s  {APPLY}" in lines
    assert lines[-1].strip() == "deploy-infra"  # its time follows


def test_a_pipe_gets_no_line_before_a_heartbeat_is_due(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(tmp_path)
    assert capsys.readouterr().out == ""


def test_a_terminal_shows_both_ends_of_the_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    shown(tmp_path)
    drawn = [line.removeprefix("\033[K") for line in terminal.getvalue().split("\r")]
    assert max(map(len, drawn)) == 79
    assert any("aws_rds_cluster_inst" in line and line.endswith("elapsed]") for line in drawn)


def test_a_line_that_says_nothing_on_its_own_is_not_shown() -> None:
    table = [
        "CREATE_COMPLETE    AWS::Lambda::LayerVers   Dependencies",
        " " * 19 + "ion",
        "-" * 60,
        "",
    ]
    assert platform._last_step(table) == "CREATE_COMPLETE AWS::Lambda::LayerVers Dependencies"
    assert (
        platform._last_step(["==> dev: terraform plan", "  + id = 1"]) == "==> dev: terraform plan"
    )
    assert platform._last_step([]) == ""


@pytest.mark.parametrize("width", range(1, 12))
def test_a_line_fits(width: int) -> None:
    assert len(fit("0123456789", width)) == min(width, 10)
    assert fit("0123456789", 5) == "01…89"
    assert fit("0123456789", 10) == "0123456789"
