"""A copy of the project, as after `make setup`: nothing is built or deployed."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent

_LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "cdktf.out")


@contextmanager
def copied_project() -> Iterator[Path]:
    """A copy's folder, deleted at the end of the block. It shares the virtual environments."""
    with TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name) / "project"
        shutil.copytree(ROOT, folder, ignore=_LEFT_OUT)
        for installed in (*ROOT.glob(".venv*"), ROOT / ".cache"):
            if installed.exists():
                (folder / installed.name).symlink_to(installed)
        yield folder
