"""How a command ends that was interrupted while its modules were loaded."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.cli.errors import end_quietly_when_interrupted, exit_code

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


@pytest.mark.parametrize("package", ["infra.commands", "service.deploy"])
@pytest.mark.parametrize(("error", "is_shown"), [("BrokenPipeError", False), ("OSError", True)])
def test_a_helper_process_that_ctrl_c_ended_too_is_no_fault(
    package: str, error: str, is_shown: bool
) -> None:
    script = f"""
import atexit, {package}
def stop():
    raise {error}
atexit.register(stop)
raise KeyboardInterrupt"""
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.stderr.startswith("interrupted\n")
    assert ("Traceback" in finished.stderr) is is_shown


def test_both_are_reported_in_this_process_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    end_quietly_when_interrupted()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    sys.excepthook(ValueError, ValueError("7"), None)
    assert capsys.readouterr().err == "interrupted\nValueError: 7\n"
    for error in (BrokenPipeError, OSError):
        unraisable: Any = SimpleNamespace(exc_type=error)
        sys.unraisablehook(unraisable)
    assert [each.exc_type for each in told] == [OSError]


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = (
        "import sys; from shared.cli.errors import exit_code\n"
        "sys.exit(exit_code(lambda: print('line\\n' * 100_000)))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_output_that_a_closed_pipe_did_not_accept_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def print_to_a_closed_pipe() -> None:
        raise BrokenPipeError

    with (tmp_path / "pipe").open("w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert exit_code(print_to_a_closed_pipe) == 0
        pipe.write("dropped")
    assert (tmp_path / "pipe").read_text() == ""
