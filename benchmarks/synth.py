"""`make synth`: the Terraform stacks of three regions, synthesized in three ways."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.measure import Bars, Section, Spread, Table, Target, in_turn, shown, timed
from benchmarks.project import copied_project
from shared.cli.errors import UserError

_REGIONS = "us-east-1,us-east-2,us-west-2"

_TEXT = """\
The data platform with the profile `standard` in three regions, from the start of Python to its end.
*As usual* imports the provider package before the same app, so that it is loaded whole. Each round
compares the files of both byte by byte. *Cold* starts without jsii's cache and without a cut of the
package. *Nothing changed* is a whole `make synth`. The memory is the Python process's; Node.js runs
next to it. [How it works](infrastructure.md#synthesis)"""

# Prints the peak memory of the process, in MB.
_PROGRAM = """\
from pathlib import Path
from infra.main import main
main()
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) / 1000)
"""
_AS_USUAL = "import cdktf_cdktf_provider_aws\n" + _PROGRAM


@dataclass(frozen=True)
class _Round:
    """Seconds, and MB of the Python process."""

    seconds: float
    memory: float = 0


def run(quick: bool) -> Section:
    """Measure syntheses. A quick run skips the cold ones."""
    with copied_project() as project:
        app = _App(project)
        app.synthesize(_PROGRAM)
        ways: dict[str, Callable[[], _Round]] = {
            "as usual": partial(app.synthesize, _AS_USUAL),
            "this project": partial(app.synthesize, _PROGRAM),
            "nothing changed": app.make,
        }
        rounds = in_turn(ways, 1 if quick else 5)
        if not quick:
            cold_ways: dict[str, Callable[[], _Round]] = {
                "as usual, cold": partial(app.synthesize_cold, _AS_USUAL),
                "this project, cold": partial(app.synthesize_cold, _PROGRAM),
            }
            rounds |= in_turn(cold_ways, 3)
    return _section(rounds)


class _App:
    """The CDKTF app in a copy of the project."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._cache = project / ".jsii"
        self._out = project / "infra" / "cdktf.out"
        self._variables = {
            **os.environ,
            "ENVIRONMENT_SUFFIX": "bench",  # has no file
            "REGIONS": _REGIONS,
            "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(self._cache),
        }
        for name in ("CDKTF_OUTDIR", "ENVIRONMENT_FILE"):
            self._variables.pop(name, None)
        self._expected: dict[str, bytes] = {}

    def synthesize(self, program: str) -> _Round:
        """Synthesize into an empty folder, and compare with the files of the run before."""
        shutil.rmtree(self._out, ignore_errors=True)
        printed: list[str] = []
        seconds = timed(lambda: printed.append(self._run(sys.executable, "-c", program)))
        found = {str(file): file.read_bytes() for file in self._out.rglob("*.json")}
        self._expected = self._expected or found
        if found != self._expected:
            raise UserError("the lean and the whole provider package synthesize different files")
        return _Round(seconds, float(printed[0]))

    def synthesize_cold(self, program: str) -> _Round:
        """The same, without the caches of an earlier synthesis."""
        shutil.rmtree(self._cache)
        shutil.rmtree(self._project / "infra" / ".gen", ignore_errors=True)
        return self.synthesize(program)

    def make(self) -> _Round:
        """Synthesize again without a change, as a user does."""
        self.synthesize(_PROGRAM)
        return _Round(timed(lambda: self._run("make", "--silent", "synth")))

    def _run(self, *command: str) -> str:
        finished = subprocess.run(
            command,
            cwd=self._project,
            env=self._variables,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return finished.stdout


def _section(rounds: dict[str, list[_Round]]) -> Section:
    seconds = {name: Spread.of([each.seconds for each in found]) for name, found in rounds.items()}
    memory = {name: Spread.of([each.memory for each in found]) for name, found in rounds.items()}
    del memory["nothing changed"]
    targets = [
        Target("Synthesis (aim: 0.1)", "s", seconds["this project"], 1 / 4, seconds["as usual"]),
        Target("Memory of it", "MB", memory["this project"], 100, kind="absolute"),
        Target("Nothing changed", "s", seconds["nothing changed"], 1, kind="absolute"),
    ]
    if "this project, cold" in seconds:
        ours, usual = seconds["this project, cold"], seconds["as usual, cold"]
        targets.insert(1, Target("Synthesis, cold", "s", ours, 1 / 2, usual))
    rows = [
        (name, shown(found), shown(memory[name]) if name in memory else "")
        for name, found in seconds.items()
    ]
    return Section(
        title="Synthesis",
        text=_TEXT,
        targets=targets,
        tables=[Table("Three regions", ("", "Seconds", "MB of Python"), rows)],
        charts=[Bars("Synthesis of three regions", "seconds", list(seconds.items()))],
    )
