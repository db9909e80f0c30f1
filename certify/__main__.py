"""Judges what the platform asks of AWS: `python -m certify [calls.jsonl …]`.

Each argument is a file of calls that the emulator has recorded. The stable part of the certificate
goes to docs/certificate.md. Exits with 1 if anything is refused.
"""

import argparse
import sys
import time
from pathlib import Path

from certify import calls, documents, report

_PAGE = Path(__file__).resolve().parent.parent / "docs" / "certificate.md"


def main() -> int:
    """Judge, print the report, and write the page; 1 if anything is refused."""
    parser = argparse.ArgumentParser(prog="python -m certify", description=__doc__)
    parser.add_argument("recordings", nargs="*", type=Path, help="files of recorded calls")
    options = parser.parse_args()
    started = time.monotonic()
    findings = [
        *(documents.profile(name) for name in documents.PROFILES),
        *(documents.template(stage) for stage in ("", "pr-42")),
        documents.policies(),
        *(calls.findings(file) for file in options.recordings),
    ]
    _PAGE.write_text(report.stable(findings))
    print(report.of_run(findings, time.monotonic() - started))
    return 1 if any(found.refused for found in findings) else 0


if __name__ == "__main__":
    sys.exit(main())
