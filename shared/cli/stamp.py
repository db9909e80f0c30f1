"""Skips a step whose result exists already."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stamp:
    """A file with a digest of a step's inputs and of its result.

    `outputs` describes the result as it is now: a step whose result was changed or deleted runs
    again.
    """

    file: Path
    inputs: str
    outputs: Callable[[], str]

    def current(self) -> bool:
        """Whether nothing has changed since the step ran."""
        try:
            return self.file.read_text() == self._digest()
        except FileNotFoundError:
            return False

    def write(self) -> None:
        """Record that the step ran."""
        self.file.write_text(self._digest())

    def _digest(self) -> str:
        return hashlib.sha256(repr((self.inputs, self.outputs())).encode()).hexdigest()


def digest(root: Path, files: Iterable[Path]) -> str:
    """SHA-256 of the files' contents and of their names below `root`, in hexadecimal.

    Raises:
        FileNotFoundError: a file is missing.
    """
    total = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        total.update(f"\0{file.relative_to(root)} {len(content)}\0".encode() + content)
    return total.hexdigest()
