"""No mistake of an operator loses a trade or leaves an environment stuck.

The environments are deployed to the emulator by the real Terraform, and each has a real database
with trades in it. `make test-mistakes` makes all mistakes; tests/platform/test_mistakes.py makes a
few of them in each run of the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.mistakes.campaign import Outcome, Tally, check_refused, make
from tests.mistakes.mistakes import MISTAKES, OPEN, SERVICE, STANDARD, Mistake
from tests.mistakes.operator import Shop, edited


@pytest.fixture(scope="module")
def outcomes(shops: Mapping[str, Shop]) -> Mapping[str, Outcome]:
    """What became of all mistakes: those of an environment one by one, the environments at once."""

    def all_of(environment: str) -> dict[str, Outcome]:
        mistakes = [mistake for mistake in MISTAKES if mistake.environment == environment]
        return {str(mistake): make(shops[environment], mistake) for mistake in mistakes}

    with ThreadPoolExecutor(len(shops)) as pool:
        return {name: found for each in pool.map(all_of, shops) for name, found in each.items()}


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_ends_in_a_line_that_helps_and_changes_nothing(
    outcomes: Mapping[str, Outcome], shops: Mapping[str, Shop], mistake: Mistake, tally: Tally
) -> None:
    outcome = outcomes[str(mistake)]
    tally.made += 1
    tally.lost += outcome.lost
    tally.stuck += outcome.changed
    check_refused(outcome, mistake)


def test_a_terminal_is_asked_before_anything_is_applied(
    shops: Mapping[str, Shop], tally: Tally
) -> None:
    shop = shops[OPEN]
    before = shop.resources()
    longer = edited(shop.document, "storage.expiration_days", 91)
    for answer in ("", "n", "yse"):
        with tally.mistake(shop):
            asked = shop.at_a_terminal("deploy", answer, longer)
        assert (asked.returncode, shop.resources()) == (1, before), asked.stdout
        assert "nothing lost" in asked.stdout
        assert asked.stdout.splitlines()[-1].endswith("error: nothing was changed")
    with tally.mistake(shop):
        asked = shop.at_a_terminal("destroy", "n")
    assert asked.stdout.splitlines()[-1].endswith("error: nothing was changed")
    with tally.mistake(shops[STANDARD]):
        asked = shops[STANDARD].at_a_terminal(SERVICE, "n", None, "delete")
    assert "Its trades stay, its API goes." in asked.stdout
    assert asked.stdout.splitlines()[-1].endswith("error: nothing was changed")
    agreed = shop.at_a_terminal("deploy", "y", longer)
    assert agreed.returncode == 0, agreed.stdout
    assert "Apply complete!" in agreed.stdout
    shop.document = longer


def test_a_loss_needs_its_name_and_a_reviewed_plan(
    shops: Mapping[str, Shop], tmp_path: Path, tally: Tally
) -> None:
    shop = shops[OPEN]
    without = edited(shop.document, "storage.access_logging", False)
    plans = str(tmp_path / "plans")
    planned = shop.run("plan", without, OUT=plans)
    assert planned.returncode == 0, planned.stdout
    (address,) = re.findall(r"loses: (aws_s3_bucket\.\S+): ", planned.stdout)
    allowed = f"{shop.stack}: {address}"
    with tally.mistake(shop):
        unnamed = shop.run("deploy", without, PLAN=plans)
    assert f'ALLOW_LOSS="{allowed}"' in unnamed.stdout.splitlines()[-1]
    with tally.mistake(shop):
        unseen = shop.run("deploy", without, ALLOW_LOSS=allowed)
    assert "only a reviewed plan may lose" in unseen.stdout.splitlines()[-1]
    applied = shop.run("deploy", without, PLAN=plans, ALLOW_LOSS=allowed)
    assert applied.returncode == 0, applied.stdout
    with tally.mistake(shop):
        stale = shop.run("deploy", without, PLAN=plans, ALLOW_LOSS=allowed)
    assert f"the saved plan of {shop.stack} is out of" in stale.stdout
    # Back again, and no longer than that.
    with tally.mistake(shop):
        back = shop.run("deploy", ALLOW_LOSS=allowed)
    assert back.returncode == 0, back.stdout
    assert f"note: ALLOW_LOSS names {allowed}, which this plan does not lose" in back.stdout
