"""Makes mistakes, and counts what they cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.mistakes.mistakes import FOLDER, Mistake
from tests.mistakes.operator import UNCHANGED, Shop, edited


@dataclass
class Tally:
    """What the mistakes have cost so far."""

    made: int = 0
    lost: int = 0
    stuck: int = 0

    def __str__(self) -> str:
        return (
            f"{self.made} mistakes, {self.lost} trades lost without an explicit word, "
            f"{self.stuck} environments stuck"
        )

    def add(self, others: Mapping[str, int]) -> None:
        """Add what other mistakes have cost, by the names of the fields."""
        for name, value in others.items():
            setattr(self, name, getattr(self, name) + value)

    @contextmanager
    def mistake(self, *shops: Shop) -> Iterator[None]:
        """Count a mistake that may change the environments but lose no trade."""
        before = [shop.trades() for shop in shops]
        self.made += 1
        yield
        after = [shop.trades() for shop in shops]
        self.lost += max(0, sum(before) - sum(after))
        assert all(before), "there are no trades to lose"
        assert after == before

    def check_not_stuck(self, shop: Shop) -> None:
        """Count an environment that is not as its file says, or that cannot be planned."""
        planned = shop.run("plan")
        self.stuck += UNCHANGED not in planned.stdout
        assert UNCHANGED in planned.stdout, planned.stdout

    def check_destroyable(self, shop: Shop) -> None:
        """Count an environment that cannot be destroyed, after the explicit words that it needs."""
        shop.document = edited(shop.document, "protection.prevent_destroy", False)
        shop.lead_to(shop.document)
        destroyed = shop.run("destroy")
        self.stuck += destroyed.returncode != 0
        assert destroyed.returncode == 0, destroyed.stdout


@dataclass(frozen=True)
class Outcome:
    """What became of a mistake."""

    said: str
    status: int
    changed: bool
    lost: int


def make(shop: Shop, mistake: Mistake) -> Outcome:
    """Make a mistake that must end in a refusal."""
    document = shop.document
    for key, value in mistake.edits.items():
        document = edited(document, key, value)
    variables = {
        name: value.replace(FOLDER, str(shop.folder)) for name, value in mistake.variables.items()
    }
    trades, resources = shop.trades(), shop.resources()
    assert trades, "there are no trades to lose"
    finished = shop.run(mistake.command, document, *mistake.arguments, **variables)
    return Outcome(
        finished.stdout,
        finished.returncode,
        shop.resources() != resources,
        max(0, trades - shop.trades()),
    )


def check_refused(outcome: Outcome, mistake: Mistake) -> None:
    """The mistake has ended in one line that helps, and has changed nothing."""
    assert not outcome.lost, outcome.said
    assert not outcome.changed, outcome.said
    assert outcome.status == (1 if mistake.ends else 0), outcome.said
    assert "Traceback" not in outcome.said, outcome.said
    assert re.search(mistake.says, outcome.said), outcome.said
    assert re.match(mistake.ends, outcome.said.splitlines()[-1]), outcome.said
