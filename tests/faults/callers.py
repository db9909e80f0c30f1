"""Callers that book trades with the project's client, and sometimes give up."""

from __future__ import annotations

import itertools
import math
import random
import threading
import time
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Literal

from tests.faults.function import Function
from trading.fields import quantity
from trading_client import ApiError, Client, Request, Response, is_replay
from trading_client.operations import Batch

_SYMBOLS = ("AAPL", "AMZN", "BRK.B", "GOOG", "META", "MSFT", "NVDA", "TSLA")
# The outcome is unknown: same request, same key.
_UNKNOWN = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}

# How many of 100 callers give up after a failure, and how many of 100 trades are requested again.
_GIVEN_UP = 3
_REPEATED = 3
_LOOKED_UP = 3
_VOIDED = 5
# How many of 100 quantities are not whole.
_DECIMAL = 20
# How many of 100 requests are batches, and how many of these are all or nothing.
_BATCHES = 30
_ALL_OR_NOTHING = 50
_LONGEST_BATCH = 30
# Trades that several callers book with the same keys, in batches and at the same time.
_MOST_SHARED = 6


@dataclass(frozen=True)
class Order:
    """A trade that a caller wants to book once."""

    key: str
    symbol: str
    side: Literal["BUY", "SELL"]
    quantity: Decimal


class Ledger:
    """What the callers requested and were told. The database must agree with it."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.acknowledged: dict[str, str] = {}  # key -> trade_id
        self.void_asked: set[str] = set()  # of trade_ids
        self.void_acknowledged: set[str] = set()
        self._shared: list[Order] = []
        self.times: list[float] = []  # of acknowledgements
        self.slowest = 0.0  # seconds from a trade's first request to its acknowledgement
        self.problems: list[str] = []

    def asked(self, order: Order) -> None:
        """Note that an order is sent for the first time."""
        self.orders[order.key] = order

    def shared(self, chance: random.Random) -> list[Order]:
        """Some of the newest orders that all callers share, plus a new one."""
        key = f"shared:{chance.getrandbits(64):x}"
        self._shared.append(Order(key, chance.choice(_SYMBOLS), "BUY", Decimal(7)))
        newest = self._shared[-_MOST_SHARED:]
        return chance.sample(newest, chance.randint(1, len(newest)))

    def told(self, order: Order, trade_id: str, seconds: float) -> None:
        """Note that a trade is booked, as far as the caller knows."""
        known = self.acknowledged.setdefault(order.key, trade_id)
        if known != trade_id:
            self.problems.append(f"{order.key} was acknowledged as {known} and as {trade_id}")
        self.times.append(time.monotonic())
        self.slowest = max(self.slowest, seconds)


class Callers:
    """Many callers in parallel, each with one request at a time."""

    def __init__(
        self, function: Function, ledger: Ledger, *, count: int, pause_seconds: float, seed: int
    ) -> None:
        self._ledger = ledger
        self._gate = threading.Event()
        self._ended = False
        self._callers = [
            _Caller(number, function, ledger, pause_seconds, seed) for number in range(count)
        ]
        self._threads = [
            threading.Thread(target=self._run, args=(caller,), daemon=True)
            for caller in self._callers
        ]

    def start(self) -> None:
        """Start the callers."""
        self._gate.set()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the callers finish, and stop them."""
        self._ended = True
        for caller in self._callers:
            caller.is_ended = True
        self._gate.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def all_served_since(self, instant: float) -> bool:
        """Whether each caller got an answer for a trade that it started after an instant."""
        return all(caller.served > instant for caller in self._callers)

    def pause(self) -> None:
        """Let no caller start another trade; running ones continue."""
        self._gate.clear()

    def are_at_rest(self) -> bool:
        """Whether all callers are idle after `pause`."""
        return all(caller.is_waiting for caller in self._callers)

    def go_on(self) -> None:
        """Let the callers continue after `pause`."""
        for caller in self._callers:
            caller.is_waiting = False
        self._gate.set()

    def _run(self, caller: _Caller) -> None:
        try:
            while not self._ended:
                if not self._gate.is_set():
                    caller.is_waiting = True
                    self._gate.wait()
                else:
                    caller.work()
                    caller.pause()
        except Exception as error:
            self._ledger.problems.append(f"a caller ended with {error!r}")
            raise


class _Caller:
    def __init__(
        self, number: int, function: Function, ledger: Ledger, pause_seconds: float, seed: int
    ) -> None:
        self._name = f"desk-{number}"
        self._numbers = itertools.count(1)
        self._function = function
        self._ledger = ledger
        self._pause_seconds = pause_seconds
        self._random = random.Random(f"{seed} {self._name}")
        self._api = Client(
            "", transport=self._carry, patience_seconds=math.inf, randomness=self._random
        )
        self.served = 0.0
        self.is_waiting = False
        self.is_ended = False

    def work(self) -> None:
        """Book a trade or a batch. Sometimes request it again, look it up, or void it."""
        if self._happens(_BATCHES):
            self._trade_batch()
        else:
            self._trade()

    def _trade(self) -> None:
        order = self._order()
        self._ledger.asked(order)
        if not self._book(order):
            return
        if self._happens(_REPEATED):
            self._book(order, must_be_replay=True)
        if self._happens(_LOOKED_UP):
            self._look_up(order)
        if self._happens(_VOIDED):
            self._void(self._ledger.acknowledged[order.key])

    def _trade_batch(self) -> None:
        orders = [self._order() for _ in range(self._random.randint(1, _LONGEST_BATCH))]
        if self._happens(50):
            orders += self._ledger.shared(self._random)
        self._random.shuffle(orders)
        for order in orders:
            self._ledger.asked(order)
        all_or_nothing = self._happens(_ALL_OR_NOTHING)
        if self._book_all(orders, all_or_nothing) and self._happens(_REPEATED):
            part = self._random.sample(orders, self._random.randint(1, len(orders)))
            self._book_all(part, all_or_nothing, must_be_replay=True)

    def _order(self) -> Order:
        return Order(
            key=f"{self._name}:{next(self._numbers)}",
            symbol=self._random.choice(_SYMBOLS),
            side="BUY" if self._happens(50) else "SELL",
            quantity=self._random.randint(1, 1000)
            + Decimal(self._random.randint(1, 999) if self._happens(_DECIMAL) else 0) / 1000,
        )

    def pause(self) -> None:
        """Think about the next trade."""
        time.sleep(self._random.uniform(0, 2 * self._pause_seconds))

    def _book(self, order: Order, *, must_be_replay: bool = False) -> bool:
        started = time.monotonic()
        try:
            booked = self._api.book(
                {"symbol": order.symbol, "side": order.side, "quantity": quantity(order.quantity)},
                key=order.key,
            )
        except _GivenUp:
            return False
        self._ledger.told(order, booked["trade_id"], time.monotonic() - started)
        if must_be_replay and not is_replay(booked):
            self._ledger.problems.append(f"{order.key} was booked again")
        self.served = started
        return True

    def _book_all(
        self, orders: list[Order], all_or_nothing: bool, *, must_be_replay: bool = False
    ) -> bool:
        started = time.monotonic()
        batch: Batch = {
            "trades": [
                {
                    "symbol": order.symbol,
                    "side": order.side,
                    "quantity": quantity(order.quantity),
                    "client_order_id": order.key,
                }
                for order in orders
            ],
            "all_or_nothing": all_or_nothing,
        }
        try:
            answer = self._api.post_trades(batch)
        except _GivenUp:
            return False
        for order, result in zip(orders, answer["trades"], strict=True):
            if result["trade_id"] is None:
                self._ledger.problems.append(f"{order.key} in a batch: {result}")
                continue
            self._ledger.told(order, result["trade_id"], time.monotonic() - started)
            if must_be_replay and result["outcome"] != "REPLAYED":
                self._ledger.problems.append(f"{order.key} was booked again in a batch")
        self.served = started
        return True

    def _look_up(self, order: Order) -> None:
        try:
            found = self._api.find_trade(client_order_id=order.key)
        except _GivenUp:
            return
        except ApiError as error:
            # A read that took too long is not repeated, and changes nothing.
            if error.code != "READ_TIMED_OUT":
                raise
            return
        trade_id = self._ledger.acknowledged[order.key]
        if found["trade_id"] != trade_id:
            self._ledger.problems.append(f"{order.key} is not {trade_id} when looked up")

    def _void(self, trade_id: str) -> None:
        self._ledger.void_asked.add(trade_id)
        try:
            self._api.void_trade(trade_id)
        except _GivenUp:
            return
        self._ledger.void_acknowledged.add(trade_id)

    def _carry(self, request: Request) -> Response:
        """Send a request once; after a failure, sometimes give up."""
        response = self._function.send(request)
        if response.status == HTTPStatus.OK:
            return response
        if response.status not in _UNKNOWN:
            self._ledger.problems.append(
                f"{request.method} {request.path}: {response.status} {response.body!r}"
            )
            raise _GivenUp
        if self.is_ended or self._happens(_GIVEN_UP):
            raise _GivenUp
        return response

    def _happens(self, percent: int) -> bool:
        return self._random.randrange(100) < percent


class _GivenUp(Exception):
    """A caller gives up on a request."""
