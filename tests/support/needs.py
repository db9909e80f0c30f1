"""Which programs a test starts, and how they are installed."""

import fcntl
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LOCK = ROOT / ".cache" / "needs.lock"

NEEDS = {
    "emulator": "starts the emulated AWS, whose databases are real",
    "database": "starts a database server",
    "terraform": "runs Terraform",
    "browser": "starts a browser",
    "platform": "runs the targets of the Makefile against a platform on this machine",
    "checks": "runs a tool of .venv-checks",
    "cdktn": "runs CDKTF's successor, which is in .venv-cdktn",
    "bench": "runs the peers of the benchmarks, which are in .venv-bench",
    "load": "sends load with the tool in .venv-load",
}

_PROGRAMS = {
    "terraform": "terraform",
    "mysqld": "database",
    "mysql": "database",
    "chromium": "browser",
    "google-chrome": "browser",
    "checkov": "checks",
}
_MODULES = {
    "local.emulator": "emulator",
    "infra.commands.terraform": "terraform",
    "infra.commands.deploy": "terraform",
    "infra.commands.destroy": "terraform",
    "infra.commands.plan": "terraform",
}


def need_of(command: Sequence[object]) -> str | None:
    """Which of `NEEDS` a command has; None for plain Python and git.

    A program in the temporary folder is a stand-in that the test has written.
    """
    words = [str(word) for word in command]
    program = Path(words[0])
    if program.is_relative_to(tempfile.gettempdir()) and not program.is_relative_to(ROOT):
        return None
    if program.name in _PROGRAMS:
        return _PROGRAMS[program.name]
    for word in words:
        if word in _MODULES:
            return _MODULES[word]
        for name in NEEDS:
            if f".venv-{name}/" in word:
                return name
    is_platform = program.name == "make" and {"up", "down"} & set(words)
    return "platform" if is_platform else None


def install(names: Iterable[str]) -> None:
    """Install what these needs require. A lock keeps parallel test processes apart.

    Raises:
        RuntimeError: the installation failed; the text is its output.
    """
    targets = [f"need-{name}" for name in sorted(names)]
    _LOCK.parent.mkdir(exist_ok=True)
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        finished = subprocess.run(
            ["make", "--silent", *targets],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    if finished.returncode != 0:
        raise RuntimeError(f"make {' '.join(targets)}:\n{finished.stdout}")
