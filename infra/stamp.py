"""Tells whether an output folder still holds what a synthesis would write to it."""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from infra.config import EnvironmentConfig

_ROOT = Path(__file__).resolve().parent.parent
_STAMP = "synthesized.sha256"


class Stamp:
    """A file in an environment's output folder: the digest of what went in and what came out."""

    def __init__(self, environment: EnvironmentConfig) -> None:
        self._folder = environment.out_dir
        # Of now: a source that changes while it is synthesized is synthesized again.
        self._inputs = _inputs(environment)

    def current(self) -> bool:
        """Whether nothing has changed since `write`, be it a source or a synthesized file."""
        try:
            return (self._folder / _STAMP).read_text() == self._digest()
        except FileNotFoundError:
            return False

    def write(self) -> None:
        """Say that the folder's files were synthesized from the sources as this found them."""
        (self._folder / _STAMP).write_text(self._digest())

    def _digest(self) -> str:
        stacks = sorted(self._folder.glob("stacks/*/cdk.tf*"))
        return _digest(self._inputs, self._folder, [self._folder / "manifest.json", *stacks])


def _inputs(environment: EnvironmentConfig) -> str:
    # The versions of all that is installed, CDKTF and the provider package among them.
    installed = sorted(file.name for path in sys.path for file in Path(path).glob("*.dist-info"))
    # What CDKTF itself reads.
    variables = {
        name: value for name, value in os.environ.items() if name.startswith(("CDKT", "SYNTH_"))
    }
    text = repr((environment, sys.version, installed, sorted(variables.items())))
    return _digest(text, _ROOT, _sources())


def _sources() -> Iterator[Path]:
    for package in ("infra", "shared"):
        for folder, folders, files in os.walk(_ROOT / package):
            folders[:] = sorted(
                name
                for name in folders
                if name not in ("__pycache__", "cdktf.out") and not name.startswith(".")
            )
            yield from (Path(folder, name) for name in sorted(files))


def _digest(text: str, root: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256(text.encode())
    for file in files:
        content = file.read_bytes()
        digest.update(f"\0{file.relative_to(root)} {len(content)}\0".encode() + content)
    return digest.hexdigest()
