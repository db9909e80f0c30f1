"""Runs a command in many regions: a process and a log for each, some at a time."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Literal

from shared.cli.errors import UserError
from shared.cli.table import fit

LOGS = Path(".logs")

# All regions: waiting for Terraform and CloudFormation needs no CPU.
_PARALLEL = "3"
_POLL_SECONDS = 0.2
# Without a terminal, print a heartbeat so that CI does not think the job hangs.
_NEWS_SECONDS = 30
_LOG_TAIL_LINES = 25
_CLEAR_LINE = "\033[K"

State = Literal["not started", "running", "ok", "failed"]


@dataclass
class RegionRun:
    """A command in one region and its state; `log` gets everything that it prints."""

    region: str
    command: Sequence[str]
    variables: Mapping[str, str]
    log: Path
    state: State = field(default="not started", init=False)
    seconds: float = field(default=0, init=False)
    _interrupted: bool = field(default=False, init=False)

    def start(self) -> None:
        """Start the command in its own session, which a terminal's Ctrl-C does not reach."""
        # A log shows what is deployed. Older folders are open to all users of the machine.
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.parent.chmod(0o700)
        self._started = time.monotonic()
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                self.command,
                env=dict(self.variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # What Terraform writes is for nobody else, such as a state that it cannot upload.
                umask=0o077,
                start_new_session=True,
            )
        self.state = "running"

    def look(self) -> None:
        """Update the state of the command, which must have been started."""
        code = self._process.poll()
        self.seconds = time.monotonic() - self._started
        if code is not None:
            self.state = "failed" if code else "ok"

    def interrupt(self) -> None:
        """Ask the command and its children to stop; a second call does nothing.

        A second Ctrl-C would make Terraform stop in the middle of a change.
        """
        if not self._interrupted:
            self._interrupted = True
            os.killpg(self._process.pid, signal.SIGINT)

    def line(self, result: re.Pattern[str]) -> str:
        """One line: the state, and the last line of the log or the `result` of a success."""
        if self.state == "not started":
            return f"{self.region:<12}not started"
        said = [line for line in map(str.strip, self.output()) if line]
        if self.state == "ok":
            said = [line for line in said if result.match(line)]
        text = self.log if self.state == "failed" else said[-1] if said else ""
        return f"{self.region:<12}{self.state:<8}{self.seconds:5.0f} s  {text}".rstrip()

    def output(self) -> list[str]:
        """The lines that it has printed."""
        return self.log.read_text(errors="replace").splitlines()


def parallel_limit(variables: Mapping[str, str]) -> int:
    """How many regions may run at the same time: `PARALLEL`, or 3.

    Raises:
        UserError: it is not a whole number from 1 to 99.
    """
    text = variables.get("PARALLEL") or _PARALLEL
    if not re.fullmatch(r"[1-9]\d?", text):
        raise UserError(f"PARALLEL {text!r}: use a whole number from 1 to 99")
    return int(text)


def run_in_regions(
    waves: Sequence[Sequence[RegionRun]], *, what: str, result: re.Pattern[str], parallel: int
) -> None:
    """Run the waves one after the other, each in up to `parallel` regions at a time.

    After a failure nothing else starts. What runs may finish, because it may be in the middle of a
    change; an interrupt asks it to stop. At the end each region gets a line; `result` matches the
    line of a log that reports success.

    Raises:
        UserError: a region failed, or the run was interrupted; the end of the logs is printed.
    """
    runs = [run for wave in waves for run in wave]
    progress = _Progress(runs, result)
    with _noted_interrupts() as interrupted:
        for wave in waves:
            waiting, running = list(wave), list[RegionRun]()
            while waiting or running:
                if interrupted.is_set() or any(run.state == "failed" for run in runs):
                    waiting.clear()
                while waiting and len(running) < parallel:
                    running.append(waiting.pop(0))
                    running[-1].start()
                    progress.started(running[-1])
                time.sleep(_POLL_SECONDS)
                for run in running:
                    if interrupted.is_set():
                        run.interrupt()
                    run.look()
                progress.show([run for run in running if run.state != "running"])
                running = [run for run in running if run.state == "running"]
    progress.close()
    skipped = [run.region for run in runs if run.state == "not started"]
    rest = f"; not started: {', '.join(skipped)}" if skipped else ""
    if interrupted.is_set():
        raise UserError(f"{what} was interrupted; to go on, run it again{rest}")
    if failed := [run.region for run in runs if run.state == "failed"]:
        raise UserError(f"{what} failed in {', '.join(failed)}{rest}")


class _Progress:
    """A line for each region: redrawn in place on a terminal, appended elsewhere."""

    def __init__(self, runs: Sequence[RegionRun], result: re.Pattern[str]) -> None:
        self._runs = runs
        self._result = result
        self._in_place = sys.stdout.isatty()
        self._drawn = 0
        self._news_at = time.monotonic() + _NEWS_SECONDS

    def started(self, run: RegionRun) -> None:
        if not self._in_place:
            print(f"==> {run.region}: started; log: {run.log}", flush=True)

    def show(self, ended: Sequence[RegionRun]) -> None:
        if self._in_place:
            self._draw()
            return
        for run in ended:
            print(f"==> {run.region}: {run.state} after {run.seconds:.0f} s", flush=True)
        if time.monotonic() >= self._news_at:
            self._news_at = time.monotonic() + _NEWS_SECONDS
            for run in self._runs:
                if run.state == "running":
                    print(f"    {run.line(self._result)}", flush=True)

    def close(self) -> None:
        """Print the ends of the failed regions' logs, and each region's state."""
        failed = [run for run in self._runs if run.state == "failed"]
        for run in failed:
            end = "\n".join(run.output()[-_LOG_TAIL_LINES:])
            print(f"\n==> {run.region}: the end of {run.log}\n{end}\n")
        if failed or not self._in_place:
            for run in self._runs:
                print(run.line(self._result), flush=True)

    def _draw(self) -> None:
        width = shutil.get_terminal_size().columns - 1
        if self._drawn:
            print(f"\033[{self._drawn}A", end="")
        for run in self._runs:
            print(f"{_CLEAR_LINE}{fit(run.line(self._result), width)}", flush=True)
        self._drawn = len(self._runs)


@contextmanager
def _noted_interrupts() -> Iterator[Event]:
    """Record Ctrl-C and SIGTERM instead of ending the process."""
    noted = Event()
    former = {
        number: signal.signal(number, lambda _number, _frame: noted.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield noted
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
