"""Describes the machine and the programs of a run."""

import os
import platform
from pathlib import Path

from local.database_server import version


def describe() -> dict[str, str]:
    """What readers need to compare the figures with their own."""
    return {
        "Processor": f"{_line('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "Memory": f"{int(_line('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Database": _database(),
    }


def _line(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


def _database() -> str:
    return f"MySQL {version()}"
