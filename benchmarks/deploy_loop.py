"""What a developer waits for on the local platform (`make up`, both deploys), and a load test."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Section, Spread, Table, progress, shown
from benchmarks.project import copied_project
from local.emulator.installation import Installation
from local.platform import aws_variables, trade_url
from shared.cli.errors import UserError
from tests.support.ports import free_port_base

_ROUNDS = 3
_REGION = "us-east-1"
_ENVIRONMENT = "bench"

_TEXT = """\
The commands as users run them: on the local platform, in one region, with a `standard` environment.
A step ends with the first line that belongs to the next one. The emulator answers immediately. On
AWS, the refresh, the change set and the update take longer.

The load is what [`make load`](../how-to/load-test.md) prints. It goes through the emulator's API
Gateway and Lambda on the same cores. So it is the emulator's figure, not AWS's."""

# A step, and a pattern for the line that ends it. The last step ends with the command.
_Steps = Sequence[tuple[str, str]]
_UP: _Steps = (
    ("checks, emulator", r"  emulator .* s$"),
    ("`make deploy-infra`", r"  deploy-infra .* s$"),
    ("`make deploy-service`", r"  deploy-service .* s$"),
    ("addresses", "$ never"),
)
_INFRA: _Steps = (
    ("checks, start of Python, nothing to synthesize or initialize", r"==> .* terraform plan"),
    ("start of Terraform and of its provider", r".*(Reading\.\.\.|Refreshing state)"),
    ("refresh, nothing to change", r".*No changes\."),
    ("end", "$ never"),
)
_SERVICE: _Steps = (
    ("checks, start of SAM", r"Starting Build"),
    ("build of the functions, the layer from the cache", r"Build Succeeded"),
    ("contract, limits", r"==> .* deploy"),
    ("start of SAM, packages", r"Waiting for changeset"),
    ("change set", r"Changeset created"),
    ("update and migration", r"Successfully created/updated"),
    ("end", "$ never"),
)


def run(quick: bool) -> Section:
    """Measure the deploy loop. A quick run skips it: it takes too long."""
    if quick:
        return Section("Deploy loop", "Only in a full run.")
    with copied_project() as project:
        settings = Installation(project / ".local", free_port_base())
        own = {"LOCAL_PORT_BASE": str(settings.port), "ENVIRONMENT_SUFFIX": _ENVIRONMENT}
        outside = {k: v for k, v in os.environ.items() if k != "LOCAL_DIR"} | own
        loop = _Loop(project, outside)
        inside = _Loop(project, aws_variables(settings, outside))
        try:
            loop.run("up")
            for number in range(_ROUNDS):
                progress(f"round {number + 1} of {_ROUNDS}")
                loop.run("down")
                loop.run("up", _UP)
                inside.run("deploy-infra", _INFRA)
                with (project / "service" / "src" / "trading" / "trades.py").open("a") as code:
                    code.write(f"# {number}\n")
                inside.run("deploy-service", _SERVICE)
            progress("load")
            url = f"URL={trade_url(settings, _REGION, _ENVIRONMENT)}"
            loaded = inside.run("load", variables=(url, "USERS=8", "SECONDS=20", "MOST_ERRORS=1"))
        finally:
            loop.run("down")
    return Section(
        "Deploy loop",
        _TEXT,
        tables=[
            loop.table("`make up` from stopped, nothing changed", "up", _UP),
            inside.table("`make deploy-infra`, nothing changed", "deploy-infra", _INFRA),
            inside.table("`make deploy-service`, one line changed", "deploy-service", _SERVICE),
            Table("`make load USERS=8 SECONDS=20`", ("", ""), reported(loaded)),
        ],
    )


@dataclass(frozen=True)
class _Loop:
    """Runs make in a folder, and records how long each step took."""

    project: Path
    variables: Mapping[str, str]
    found: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def run(self, target: str, steps: _Steps = (), variables: Sequence[str] = ()) -> list[str]:
        """Run a target and measure its steps and their sum; return the lines it printed."""
        started = last = time.perf_counter()
        process = subprocess.Popen(
            ["make", "--silent", target, *variables],
            cwd=self.project,
            env=dict(self.variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None  # noqa: S101
        remaining = list(steps)
        output = []
        for line in process.stdout:
            output.append(line)
            if remaining and re.match(remaining[0][1], line):
                now = time.perf_counter()
                self.found[target, remaining.pop(0)[0]].append(now - last)
                last = now
        if process.wait() != 0:
            raise UserError(f"make {target} failed:\n{''.join(output[-20:])}")
        if len(remaining) > 1:
            raise UserError(f"make {target}: found no end of the step {remaining[0][0]}")
        ended = time.perf_counter()
        for name, _ in remaining:
            self.found[target, name].append(ended - last)
        self.found[target, "in all"].append(ended - started)
        return output

    def table(self, title: str, target: str, steps: _Steps) -> Table:
        """The steps of a target, and their sum."""
        names = [*(name for name, _ in steps), "in all"]
        found = [self.found[target, name][-_ROUNDS:] for name in names]
        rows = [(name, shown(Spread.of(values))) for name, values in zip(names, found, strict=True)]
        return Table(title, ("Step", "Seconds"), rows)


def reported(lines: Sequence[str]) -> list[tuple[str, str]]:
    """The figures of a load test, with their names."""
    found = (re.match(r"  ([a-z ]+?)  *(\d.*|p50 .*)$", line) for line in lines)
    return [(match[1], match[2]) for match in found if match]
