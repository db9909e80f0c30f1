"""What must be true after each fault."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.faults.callers import Ledger, Order


@dataclass
class Findings:
    """What is wrong with a book of trades; nothing, if all is empty."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether there is something wrong."""
        return bool(self.lost or self.doubled or self.wrong)


def read_book(text: str) -> list[tuple[str, Order]]:
    """The trades of a database, as its command-line client prints `BOOK`: trade ID and order."""
    rows = (line.split("\t") for line in text.splitlines())
    return [(row[0], Order(row[1], row[2], row[3], int(row[4]))) for row in rows]


BOOK = "SELECT trade_id, client_order_id, symbol, side, quantity FROM trading.trades"


def compare(ledger: Ledger, book: list[tuple[str, Order]]) -> Findings:
    """Hold what callers were told against the book: each acknowledged trade is there, once.

    A trade whose caller gave up may be there, once.
    """
    findings = Findings()
    booked: dict[str, str] = {}
    for trade_id, order in book:
        if order.key in booked:
            findings.doubled.append(order.key)
        booked[order.key] = trade_id
        if ledger.orders.get(order.key) != order:
            findings.wrong.append(f"{order.key} is booked as {order}")
    for key, trade_id in ledger.acknowledged.items():
        if key not in booked:
            findings.lost.append(key)
        elif booked[key] != trade_id:
            findings.wrong.append(f"{key} was acknowledged as {trade_id} and is {booked[key]}")
    return findings


def positions(book: list[tuple[str, Order]]) -> dict[str, int]:
    """The position of each symbol: the sum of its trades."""
    sums: dict[str, int] = {}
    for _, order in book:
        signed = order.quantity if order.side == "BUY" else -order.quantity
        sums[order.symbol] = sums.get(order.symbol, 0) + signed
    return sums
