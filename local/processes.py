"""What runs on this machine: by /proc as on Linux, or by ps where there is none, as on macOS."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def command_line(pid: int, proc: Path = _PROC) -> str | None:
    """The command and arguments of a process, separated by spaces; None if it does not run.

    There is a space before and after each argument, so that `" --a=1 "` finds exactly that one.
    """
    if not proc.is_dir():
        return next(_by_ps("-p", str(pid)), None)
    try:
        return _spaced((proc / str(pid) / "cmdline").read_bytes())
    except OSError:
        return None


def command_lines(proc: Path = _PROC) -> Iterator[str]:
    """The command lines of all processes that can be seen, each as `command_line` gives it."""
    if not proc.is_dir():
        yield from _by_ps("-A")
        return
    for file in proc.glob("[0-9]*/cmdline"):
        try:
            yield _spaced(file.read_bytes())
        except OSError:
            continue  # it has just ended


def _spaced(arguments: bytes) -> str:
    return f" {arguments.decode(errors='replace').replace(chr(0), ' ').strip()} "


def _by_ps(*which: str) -> Iterator[str]:
    # https://pubs.opengroup.org/onlinepubs/9699919799/utilities/ps.html; -ww: not cut to 80 columns
    command = ("ps", "-ww", *which, "-o", "args=")
    listed = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    for line in listed.stdout.splitlines():
        yield f" {line.strip()} "
