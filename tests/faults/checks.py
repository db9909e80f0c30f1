"""What must be true after each fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from tests.faults.callers import Ledger, Order
from tests.faults.follower import Seen


@dataclass
class Findings:
    """What is wrong with a book of trades; nothing if all fields are empty."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether there is something wrong."""
        return bool(self.lost or self.doubled or self.wrong)


@dataclass(frozen=True)
class Entry:
    """A trade of the database."""

    trade_id: str
    order: Order
    is_void: bool = False


def read_book(text: str) -> list[Entry]:
    """The trades of a database, as its command-line client prints `BOOK`."""
    rows = (line.split("\t") for line in text.splitlines())
    return [
        Entry(row[0], Order(row[1], row[2], _SIDES[row[3]], Decimal(row[4])), row[5] == "VOID")
        for row in rows
    ]


BOOK = (
    "SELECT trade_id, client_order_id, symbol, side, quantity + fraction, status "
    "FROM trading.trades"
)
_SIDES: dict[str, Literal["BUY", "SELL"]] = {"BUY": "BUY", "SELL": "SELL"}


def compare(ledger: Ledger, book: list[Entry]) -> Findings:
    """Compare what callers were told with the book: each acknowledged trade is there, once.

    A trade whose caller gave up may be there, once. The same holds for voids.
    """
    findings = Findings()
    booked: dict[str, str] = {}
    for entry in book:
        key = entry.order.key
        if key in booked:
            findings.doubled.append(key)
        booked[key] = entry.trade_id
        if ledger.orders.get(key) != entry.order:
            findings.wrong.append(f"{key} is booked as {entry.order}")
    for key, trade_id in ledger.acknowledged.items():
        if key not in booked:
            findings.lost.append(key)
        elif booked[key] != trade_id:
            findings.wrong.append(f"{key} was acknowledged as {trade_id} and is {booked[key]}")
    void = {entry.trade_id for entry in book if entry.is_void}
    findings.wrong += [f"{each} is not void" for each in ledger.void_acknowledged - void]
    findings.wrong += [f"nobody voided {each}" for each in void - ledger.void_asked]
    return findings


def missed(seen: Sequence[Seen], book: list[Entry]) -> list[str]:
    """What is wrong with the events that a follower has seen: each is there once, in order."""
    times = Counter(seen)
    happened = {("BOOKED", entry.trade_id) for entry in book}
    happened |= {("VOIDED", entry.trade_id) for entry in book if entry.is_void}
    wrong = [f"the follower saw {event} twice" for event, count in times.items() if count > 1]
    wrong += [f"the follower missed {event}" for event in sorted(happened - times.keys())]
    wrong += [f"the follower saw a false {event}" for event in sorted(times.keys() - happened)]
    places = {event: place for place, event in enumerate(seen)}
    wrong += [
        f"the follower saw the void of {trade_id} before its booking"
        for kind, trade_id in places
        if kind == "VOIDED" and places.get(("BOOKED", trade_id), -1) > places[kind, trade_id]
    ]
    return wrong


def positions(book: list[Entry]) -> dict[str, Decimal]:
    """The position of each symbol: the sum of its trades that are not void."""
    sums: dict[str, Decimal] = {}
    for entry in book:
        if not entry.is_void:
            order = entry.order
            signed = order.quantity if order.side == "BUY" else -order.quantity
            sums[order.symbol] = sums.get(order.symbol, Decimal(0)) + signed
    return sums
