"""The app team's mistakes: previews, and migrations that take data away."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.mistakes.campaign import Tally
from tests.mistakes.mistakes import SERVICE, STANDARD
from tests.mistakes.operator import Shop
from tests.platform.conftest import Platform
from tests.platform.test_rollback import built_migration

STAGE = {"SERVICE_STAGE": "pr-1"}
REASON = "-- safe because no release reads it\n"


def last(said: str) -> str:
    """The last line, which says what is wrong."""
    assert "Traceback" not in said
    return said.splitlines()[-1]


def test_a_preview_goes_with_its_own_trades_alone(shops: Mapping[str, Shop], tally: Tally) -> None:
    shop = shops[STANDARD]
    released = shop.run(SERVICE, None, "deploy", **STAGE)
    assert released.returncode == 0, released.stdout
    with tally.mistake(shop):
        asked = shop.at_a_terminal(SERVICE, "n", None, "delete", **STAGE)
    assert f"Delete the preview pr-1 of {shop.suffix}, with its trades?" in asked.stdout
    assert last(asked.stdout).endswith("error: nothing was changed")
    with tally.mistake(shop):
        mistyped = shop.run(SERVICE, None, "delete", SERVICE_STAGE="pr-11")
    assert f"there is no preview pr-11 of {shop.suffix}" in last(mistyped.stdout)
    assert "there are: pr-1" in last(mistyped.stdout)
    with tally.mistake(shop):
        destroyed = shop.run("destroy")
    assert "uses this data platform" in last(destroyed.stdout)
    assert "make destroy-service SERVICE_STAGE=pr-1" in last(destroyed.stdout)
    with tally.mistake(shop):
        removed = shop.run(SERVICE, None, "delete", **STAGE)
    assert removed.returncode == 0, removed.stdout
    with tally.mistake(shop):
        again = shop.run(SERVICE, None, "delete", **STAGE)
    assert f"there is no preview pr-1 of {shop.suffix}" in last(again.stdout)


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("DROP TABLE trades", "the table trades"),
        ("TRUNCATE TABLE trades", "rows"),
        ("DELETE FROM trades WHERE status = 'VOID' LIMIT 1000", "rows"),
        ("UPDATE trades SET quantity = 0 WHERE symbol IS NULL", "values of the column quantity"),
        ("ALTER TABLE trades DROP COLUMN price", "the column price"),
    ],
)
def test_a_migration_that_takes_data_away_is_refused_until_it_says_so(
    shops: Mapping[str, Shop], platform: Platform, tally: Tally, statement: str, lost: str
) -> None:
    with built_migration(platform, REASON + statement), tally.mistake(shops[STANDARD]):
        refused = shops[STANDARD].run(SERVICE, None, "deploy")
    assert refused.returncode == 1
    assert f"9999_change: loses {lost}. " in last(refused.stdout)
    assert "say what goes in a line `-- loses ...`" in last(refused.stdout)
