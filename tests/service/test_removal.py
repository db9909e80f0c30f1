"""A person at a terminal is told what a removal loses, and asked, before anything is removed."""

import os
import pty
import sys

import pytest

from service.deploy.commands import delete
from service.deploy.target import Target
from shared.cli.errors import UserError


@pytest.mark.parametrize(
    ("stage", "question"),
    [
        ("pr-1", "Delete the preview pr-1 of dev, with its trades? [y/N] "),
        ("", "Remove the service of dev? Its trades stay, its API goes. [y/N] "),
    ],
)
@pytest.mark.parametrize("regions", ["us-east-1", "us-east-1,us-west-2"])
def test_a_removal_asks_first(
    stage: str,
    question: str,
    regions: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    controller, terminal = pty.openpty()
    monkeypatch.setattr(sys, "stdin", os.fdopen(terminal))
    os.write(controller, b"n\n")
    target = Target.from_environment({"SERVICE_STAGE": stage, "REGIONS": regions})
    with pytest.raises(UserError, match="nothing was changed"):
        delete(target)
    assert capsys.readouterr().out == question
