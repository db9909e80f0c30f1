"""How a command ends that was interrupted while its modules were loaded."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.cli.errors import end_quietly_when_interrupted

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("package", ["infra.commands", "service.deploy", "local"])
@pytest.mark.parametrize(
    ("error", "said"),
    [("KeyboardInterrupt", "interrupted\n"), ("ValueError(7)", "ValueError: 7\n")],
)
def test_an_interrupt_ends_in_one_word_and_a_fault_in_its_traceback(
    package: str, error: str, said: str
) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", f"import {package}\nraise {error}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode != 0
    assert finished.stderr.endswith(said)
    assert ("Traceback" in finished.stderr) == (error != "KeyboardInterrupt")


def test_both_are_told_in_this_process_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    end_quietly_when_interrupted()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    sys.excepthook(ValueError, ValueError("7"), None)
    assert capsys.readouterr().err == "interrupted\nValueError: 7\n"
