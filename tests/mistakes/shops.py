"""The environments in which mistakes are made; each is deployed when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Lock

import requests

from tests.mistakes.mistakes import DOCUMENTS, STANDARD
from tests.mistakes.operator import TRADES, Shop
from tests.platform.conftest import Platform


class Shops(Mapping[str, Shop]):
    """The environments by name. Several threads may open them."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        self._platform = platform
        self._folder = folder
        self._locks = {name: Lock() for name in DOCUMENTS}
        self.opened: dict[str, Shop] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._locks)

    def __len__(self) -> int:
        return len(self._locks)

    def __getitem__(self, name: str) -> Shop:
        with self._locks[name]:
            if name not in self.opened:
                self.opened[name] = self._standard() if name == STANDARD else self._other(name)
            return self.opened[name]

    def _other(self, name: str) -> Shop:
        shop = Shop(self._platform.settings, self._folder / name, name, DOCUMENTS[name])
        shop.open()
        return shop

    def _standard(self) -> Shop:
        for number in range(TRADES):
            order = {"symbol": "MSFT", "quantity": number + 1}
            requests.post(self._platform.trade_url, json=order, timeout=30).raise_for_status()
        return standard_shop(self._platform, self._folder)


def standard_shop(platform: Platform, folder: Path) -> Shop:
    """The environment that `make up` has deployed, with the service."""
    state = {"STATE_DIR": platform.env["STATE_DIR"]}
    document = DOCUMENTS[STANDARD]
    return Shop(platform.settings, folder / STANDARD, platform.environment, document, state)
