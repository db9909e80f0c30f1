"""The environments of the campaign, on one platform that is brought up with `make up`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.mistakes.campaign import Tally
from tests.mistakes.mistakes import DOCUMENTS, STANDARD
from tests.mistakes.operator import TRADES, Shop
from tests.platform.conftest import Platform, platform

__all__ = ["platform"]

FULL = os.environ.get("MISTAKES") in ("full", "write")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes minutes, unless the variable MISTAKES asks for it."""
    if FULL:
        return
    campaign = [item for item in items if "shops" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=campaign)
    items[:] = [item for item in items if item not in campaign]


@pytest.fixture(scope="session")
def tally() -> Iterator[Tally]:
    """What all mistakes together have cost; printed at the end."""
    tally = Tally()
    yield tally
    print(f"\n{tally}")


@pytest.fixture(scope="session")
def shops(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Shop]:
    """The environments with trades in them."""
    folder = tmp_path_factory.mktemp("mistakes")
    shops = {
        name: Shop(platform.settings, folder / name, name, document)
        for name, document in DOCUMENTS.items()
    }
    shops[STANDARD] = standard_shop(platform, shops[STANDARD])
    for number in range(TRADES):
        order = {"symbol": "MSFT", "quantity": number + 1}
        requests.post(platform.trade_url, json=order, timeout=30).raise_for_status()
    with ThreadPoolExecutor(2) as pool:
        others = [shop for name, shop in shops.items() if name != STANDARD]
        for future in [pool.submit(shop.open) for shop in others]:
            future.result()
    return shops


def standard_shop(platform: Platform, shop: Shop) -> Shop:
    """The environment that `make up` has deployed, with the service."""
    state = {"STATE_DIR": platform.env["STATE_DIR"]}
    return Shop(shop.settings, shop.folder, platform.environment, shop.document, state)
