"""The environments of the campaign, on a platform that is brought up with `make up`.

Two processes share the campaign, each with a platform of its own. A third one, which has started
them, adds up what the mistakes have cost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import pytest

from tests.mistakes.campaign import Tally
from tests.mistakes.mistakes import STANDARD
from tests.mistakes.operator import Shop
from tests.mistakes.shops import Shops
from tests.platform.conftest import Platform, platform

__all__ = ["platform"]

FULL = os.environ.get("MISTAKES") in ("full", "write")
_TALLY = pytest.StashKey[Tally]()
_OUTPUT = "mistakes"


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.stash[_TALLY] = Tally()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, unless the variable MISTAKES asks for it."""
    if FULL:
        return
    campaign = [item for item in items if "shops" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=campaign)
    items[:] = [item for item in items if item not in campaign]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add what the mistakes of another process have cost."""
    node.config.stash[_TALLY].add(getattr(node, "workeroutput", {}).get(_OUTPUT, {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that adds up; there, fail if there is any cost."""
    tally = session.config.stash[_TALLY]
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_OUTPUT] = asdict(tally)
    elif tally.lost or tally.stuck:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what all mistakes together have cost."""
    if FULL:
        terminalreporter.write_line(str(config.stash[_TALLY]))


@pytest.fixture(scope="session")
def tally(request: pytest.FixtureRequest) -> Tally:
    """What all mistakes of this process have cost."""
    return request.config.stash[_TALLY]


@pytest.fixture(scope="session")
def shops(
    platform: Platform, tmp_path_factory: pytest.TempPathFactory, tally: Tally
) -> Iterator[Shops]:
    """The environments with trades in them. In the end, none is stuck.

    The one with the service stays: a test destroys it, or `make down` ends it.
    """
    shops = Shops(platform, tmp_path_factory.mktemp("mistakes"))
    yield shops

    def close(shop: Shop) -> None:
        tally.check_not_stuck(shop)
        if shop is not shops.opened.get(STANDARD):
            tally.check_destroyable(shop)

    with ThreadPoolExecutor(2) as pool:
        for closed in pool.map(close, shops.opened.values()):
            assert closed is None
