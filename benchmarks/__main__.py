"""Runs the benchmarks: `python -m benchmarks [--quick] [name ...]`.

A full run writes the results of each benchmark into docs/explanation/performance.md when the
benchmark ends, so that none is lost if a later one fails. A quick run only prints.
"""

import argparse
import importlib
import sys
import time

from benchmarks import machine, report
from benchmarks.measure import Section, progress
from shared.cli.errors import exit_code

# Modules with a function `run(quick)` that returns their section of the report.
BENCHMARKS = ("warm", "batches", "cold", "shares", "scale", "rules", "feed", "synth", "deploy_loop")


def main() -> None:
    """Run the benchmarks and print the targets.

    Raises:
        UserError: a program that a benchmark needs is missing.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, and small tables")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"there is no benchmark {min(unknown)}; there are {', '.join(BENCHMARKS)}")
    sections = []
    for name in arguments.names or BENCHMARKS:
        sections.append(_run(name, arguments.quick))
        if not arguments.quick:
            report.keep(name, sections[-1], machine.describe(), BENCHMARKS)
    print(report.summary(sections))


def _run(name: str, quick: bool) -> Section:
    started = time.monotonic()
    progress(f"== {name}")
    section: Section = importlib.import_module(f"benchmarks.{name}").run(quick)
    progress(f"== {name} took {time.monotonic() - started:.0f} s")
    if section.targets:
        progress(report.summary([section]))
    return section


if __name__ == "__main__":
    sys.exit(exit_code(main))
