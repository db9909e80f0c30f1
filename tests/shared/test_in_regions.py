"""Commands in many regions, with real processes."""

import io
import os
import re
import signal
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from shared.cli import in_regions as regions
from shared.cli.errors import UserError, exit_code
from shared.cli.in_regions import RegionRun, parallel_limit, run_in_regions

EAST, OHIO, WEST = "us-east-1", "us-east-2", "us-west-2"
DONE = re.compile("done")


class Shell:
    """Creates runs of shell commands, with logs and marks in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, region: str, command: str) -> RegionRun:
        log = self.folder / "logs" / f"{region}.log"
        return RegionRun(region, ["bash", "-c", command], os.environ, log)

    def meeting(self, region: str, guests: int) -> RegionRun:
        """A run that ends well only if as many as `guests` run at the same time."""
        come = f"touch {self.folder}/here-{region}; for _ in $(seq 100); do "
        met = f'[ "$(ls {self.folder}/here-* | wc -l)" -ge {guests} ] && {{ echo done; exit 0; }}; '
        return self.run(region, f"{come}{met}sleep 0.05; done; exit 1")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "_POLL_SECONDS", 0.02)


def run(*waves: list[RegionRun], parallel: int = 3) -> None:
    run_in_regions(waves, what="terraform apply", result=DONE, parallel=parallel)


def test_regions_run_at_the_same_time_and_each_has_its_line_and_its_log(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [shell.meeting(region, 3) for region in (EAST, OHIO, WEST)]
    run(runs)
    printed = capsys.readouterr().out
    for each in runs:
        assert each.log.read_text() == "done\n"
        assert stat.S_IMODE(each.log.parent.stat().st_mode) == 0o700
        assert f"==> {each.region}: started; log: {each.log}" in printed
        assert re.search(rf"==> {each.region}: ok after \d+ s", printed)
    report = printed.splitlines()[-3:]
    for line, each in zip(report, runs, strict=True):
        assert re.fullmatch(rf"{each.region} +ok +\d+ s +done", line)


def test_no_more_run_at_a_time_than_allowed(shell: Shell) -> None:
    alone = f"mkdir {shell.folder}/one && sleep 0.1 && rmdir {shell.folder}/one"
    run([shell.run(region, alone) for region in (EAST, OHIO, WEST)], parallel=1)


def test_a_wave_starts_once_the_one_before_it_has_ended(shell: Shell) -> None:
    mark = shell.folder / "mark"
    first = shell.run(EAST, f"sleep 0.2; touch {mark}")
    run([first], [shell.run(region, f"test -e {mark}") for region in (OHIO, WEST)])


def test_a_failure_starts_nothing_further_and_lets_the_others_finish(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = shell.folder / "finished"
    runs = [
        shell.run(EAST, "echo 'Error: no such key'; exit 3"),
        shell.run(OHIO, f"sleep 0.3; touch {finished}"),
        shell.run(WEST, "exit 0"),
    ]
    with pytest.raises(UserError) as failed:
        run(runs, parallel=2)
    assert str(failed.value) == "terraform apply failed in us-east-1; not started: us-west-2"
    assert finished.exists()
    printed = capsys.readouterr().out
    assert f"==> {EAST}: the end of {runs[0].log}\nError: no such key\n" in printed
    report = printed.splitlines()[-3:]
    assert re.match(rf"{EAST} +failed +\d+ s  {runs[0].log}$", report[0])
    assert re.match(rf"{OHIO} +ok +\d+ s$", report[1])
    assert re.match(rf"{WEST} +not started$", report[2])
    assert not runs[2].log.exists()


def test_a_failed_wave_is_the_last_one(shell: Shell) -> None:
    second = shell.run(WEST, "exit 0")
    with pytest.raises(UserError, match="not started: us-west-2"):
        run([shell.run(EAST, "exit 1")], [second])
    assert second.state == "not started"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_passed_on_once_and_what_runs_may_finish(
    shell: Shell, number: signal.Signals
) -> None:
    ready, stopped = shell.folder / "ready", shell.folder / "stopped"
    # A child that is killed or interrupted twice prints more than one line.
    child = (
        "import pathlib, signal, time\n"
        f"def stop(*_): open({str(stopped)!r}, 'a').write('in order\\n')\n"
        "signal.signal(signal.SIGINT, stop)\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(0.5)\n"
    )
    runs = [
        RegionRun(EAST, [sys.executable, "-c", child], os.environ, shell.folder / "log"),
        shell.run(WEST, "exit 0"),
    ]

    def press() -> None:
        while not ready.exists():
            time.sleep(0.01)
        for _ in range(3):
            os.kill(os.getpid(), number)
            time.sleep(0.1)

    # A background job of a shell ignores interrupts.
    before = signal.getsignal(signal.SIGINT)
    presser = threading.Thread(target=press)
    presser.start()
    with pytest.raises(UserError, match="interrupted; to go on, run it again; not started: us-w"):
        run(runs, parallel=1)
    presser.join()
    assert stopped.read_text() == "in order\n"
    assert runs[0].state == "ok"
    assert signal.getsignal(signal.SIGINT) is before


def test_long_runs_show_their_progress_now_and_then(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(regions, "_NEWS_SECONDS", 0.1)
    quiet, talkative = "sleep 0.02", "echo creating; echo; sleep 0.5; echo done"
    run([shell.run(EAST, quiet), shell.run(WEST, talkative)])
    assert re.search(rf"    {WEST} +running +0 s  creating\n", capsys.readouterr().out)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_lines_are_renewed_in_place(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    run([shell.run(EAST, f"echo {'x' * 200}; sleep 0.2"), shell.run(WEST, "echo done")])
    drawn = terminal.getvalue()
    assert drawn.count("\033[2A") >= 2
    assert all(
        len(line.replace("\033[2A", "").replace("\033[K", "")) < 60 for line in drawn.split("\n")
    )
    assert re.search(rf"\033\[K{EAST} +running +0 s  x*…x+\n", drawn)
    assert re.search(rf"\033\[K{EAST} +ok +0 s\n\033\[K{WEST} +ok +0 s  done\n$", drawn)
    assert "started" not in drawn.replace("not started", "")


def test_how_many_at_a_time_is_configured() -> None:
    assert parallel_limit({}) == 3
    assert parallel_limit({"PARALLEL": ""}) == 3
    assert parallel_limit({"PARALLEL": "1"}) == 1
    for text in ("0", "-1", "all", "1.5", "100"):
        with pytest.raises(UserError, match=f"PARALLEL '{text}': use a whole number"):
            parallel_limit({"PARALLEL": text})


def test_ctrl_c_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    assert exit_code(interrupted) == 130
    assert capsys.readouterr().err == "interrupted\n"
