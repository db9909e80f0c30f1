"""Running the SAM CLI."""

from pathlib import Path

import pytest

from service.deploy.sam import SamFailed, run_sam


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder, empty, with a `sam` that leaves a folder there and then fails."""
    sam = tmp_path / "bin" / "sam"
    sam.parent.mkdir()
    sam.write_text('#!/bin/sh\nmkdir "$TMPDIR/left" && touch "$0.ran"\nexit 1\n')
    sam.chmod(0o755)
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(sam.parent), prepend=":")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_sam_leaves_nothing_in_the_temporary_folder(temporary: Path) -> None:
    with pytest.raises(SamFailed, match="sam package failed"):
        run_sam("package")
    assert (temporary.parent / "bin" / "sam.ran").exists()
    assert not list(temporary.iterdir())
