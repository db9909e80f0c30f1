"""Judges what the platform asks of AWS: `python -m certify [calls.jsonl …]`.

Without arguments, everything that people and pipelines do is run and recorded first, on a platform
of its own. The stable part of the certificate goes to docs/certificate.md, and that of the run to
.cache/certificate/. Exits with 1 if anything is refused.
"""

import argparse
import sys
import time
from pathlib import Path

from certify import documents, report
from certify.course import record
from certify.recording import recorded
from certify.recordings import judged
from shared.cli.errors import UserError, exit_code

_ROOT = Path(__file__).resolve().parent.parent
_PAGE = _ROOT / "docs" / "certificate.md"
_RUN = _ROOT / ".cache" / "certificate"


def main() -> None:
    """Judge, print the report, and write the page.

    Raises:
        UserError: something is refused, or a command of the course failed.
    """
    parser = argparse.ArgumentParser(prog="python -m certify", description=__doc__)
    parser.add_argument("recordings", nargs="*", type=Path, help="judge these recordings instead")
    parser.add_argument("--page", action="store_true", help="judge what needs no platform, only")
    parser.add_argument(
        "--profile", action="append", choices=documents.PROFILES, help="run the course of this one"
    )
    options = parser.parse_args()
    started = time.monotonic()
    findings = [
        *(documents.profile(name) for name in documents.PROFILES),
        *(documents.template(stage) for stage in ("", "pr-42")),
        documents.policies(),
    ]
    _PAGE.write_text(report.stable(findings))
    recordings = list(options.recordings)
    if not recordings and not options.page:
        recordings.append(_RUN / "calls.jsonl")
        record(options.profile or documents.PROFILES, recordings[0])
    for file in recordings:
        findings += judged(recorded(file))
    text = report.of_run(findings, time.monotonic() - started)
    _RUN.mkdir(parents=True, exist_ok=True)
    (_RUN / "report.md").write_text(text)
    print(text)
    if refused := sum(len(found.refused) for found in findings):
        raise UserError(f"{refused} refused: see the report above")


if __name__ == "__main__":
    sys.exit(exit_code(main))
