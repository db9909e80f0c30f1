"""Runs the tests that are named each time a source file is saved: `make watch ARGS=tests/…`."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FILES = ("*.py", "*.toml", "*.sql", "*.yaml", "*.json", "*.md")
_POLL_SECONDS = 0.3


def saved(folder: Path) -> Mapping[str, int]:
    """When each source file below a folder was saved, in nanoseconds; what git ignores is not."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *_FILES],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [folder / name for name in listed.stdout.splitlines()]
    return {str(file): file.stat().st_mtime_ns for file in files if file.is_file()}


def main(arguments: Sequence[str]) -> None:
    """Run the tests now and after each change, until Ctrl-C."""
    if not arguments:
        sys.exit("error: no test is named: use make watch ARGS=tests/service/test_trades.py")
    while True:
        before = saved(ROOT)
        subprocess.run([sys.executable, "-m", "pytest", "--quiet", *arguments], check=False)
        print("waiting for a file to be saved; Ctrl-C ends this", flush=True)
        while saved(ROOT) == before:
            time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
