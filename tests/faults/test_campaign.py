"""Proves the service under faults: a campaign, and that its checks notice what they look for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from local.database_server import MySQLServer
from tests.faults.callers import Ledger, Order
from tests.faults.checks import Entry, compare, missed, positions, read_book

ROOT = Path(__file__).resolve().parents[2]
BUY = Order("desk-1:1", "AAPL", "BUY", Decimal(100))
SELL = Order("desk-1:2", "AAPL", "SELL", Decimal("30.5"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    # A campaign stops its servers itself, unless it is killed.
    for server in tmp_path.glob("server-*"):
        MySQLServer(server, port=0).stop()


def test_no_trade_is_lost_or_booked_twice_whatever_fails(folder: Path) -> None:
    kept = ("HOME", "LANG", "PATH", "TERM", "TMPDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {
        "FAULTS": os.environ.get("FAULTS") or "small",
        "SEED": os.environ.get("SEED") or "1",
        "PYTHONPATH": os.pathsep.join(
            (str(ROOT), str(ROOT / "service" / "src"), str(ROOT / "client"))
        ),
    }
    command = (sys.executable, "-m", "tests.faults", str(folder))
    finished = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    report = (folder / "report.txt").read_text()
    assert finished.returncode == 0, report
    assert re.search(r"[\d,]+ trades, \d+ faults, lost 0, doubled 0, [\d,]+ events", report)


@pytest.fixture
def ledger() -> Ledger:
    """Of two orders, of which the first was acknowledged."""
    ledger = Ledger()
    ledger.asked(BUY)
    ledger.asked(SELL)
    ledger.told(BUY, "TRADE-1", seconds=0)
    return ledger


def test_a_trade_whose_caller_gave_up_is_booked_or_not(ledger: Ledger) -> None:
    assert not compare(ledger, [Entry("TRADE-1", BUY)]).any
    assert not compare(ledger, [Entry("TRADE-1", BUY), Entry("TRADE-2", SELL)]).any


def test_an_acknowledged_trade_that_is_missing_is_lost(ledger: Ledger) -> None:
    assert compare(ledger, [Entry("TRADE-2", SELL)]).lost == [BUY.key]


@pytest.mark.parametrize("order", [BUY, SELL])
def test_a_key_that_is_booked_twice_is_doubled(ledger: Ledger, order: Order) -> None:
    book = [Entry("TRADE-1", BUY), Entry("TRADE-2", order), Entry("TRADE-3", order)]
    assert order.key in compare(ledger, book).doubled


@pytest.mark.parametrize(
    ("trade_id", "order"),
    [
        ("TRADE-2", BUY),
        ("TRADE-1", Order(BUY.key, "AAPL", "BUY", Decimal(101))),
        ("TRADE-1", Order(BUY.key, "AAPL", "SELL", Decimal(100))),
    ],
)
def test_a_trade_that_is_not_what_was_acknowledged_is_wrong(
    ledger: Ledger, trade_id: str, order: Order
) -> None:
    assert compare(ledger, [Entry(trade_id, order)]).wrong


def test_a_trade_that_nobody_asked_for_is_wrong(ledger: Ledger) -> None:
    stranger = Order("stranger", "AAPL", "BUY", Decimal(1))
    assert compare(ledger, [Entry("TRADE-1", BUY), Entry("TRADE-2", stranger)]).wrong


def test_a_key_that_is_acknowledged_as_two_trades_is_a_problem(ledger: Ledger) -> None:
    ledger.told(BUY, "TRADE-1", seconds=0)
    assert not ledger.problems
    ledger.told(BUY, "TRADE-2", seconds=0)
    assert ledger.problems


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize("is_void", [False, True])
def test_a_void_is_what_was_asked_for_and_acknowledged(
    ledger: Ledger, asked: bool, acknowledged: bool, is_void: bool
) -> None:
    if asked:
        ledger.void_asked.add("TRADE-1")
    if acknowledged:
        ledger.void_acknowledged.add("TRADE-1")
    is_wrong = acknowledged > is_void or is_void > asked
    assert compare(ledger, [Entry("TRADE-1", BUY, is_void)]).any == is_wrong


BOOK = [Entry("TRADE-1", BUY, is_void=True), Entry("TRADE-2", SELL)]
EVENTS = [("BOOKED", "TRADE-1"), ("BOOKED", "TRADE-2"), ("VOIDED", "TRADE-1")]


def test_a_follower_must_see_all_events_once_and_in_order() -> None:
    assert missed(EVENTS, BOOK) == []
    assert missed([EVENTS[0], EVENTS[2], EVENTS[1]], BOOK) == []
    assert missed([*reversed(EVENTS)], BOOK)
    for event in EVENTS:
        assert missed([*EVENTS, event], BOOK)
        assert missed([each for each in EVENTS if each != event], BOOK)
    assert missed([*EVENTS, ("VOIDED", "TRADE-2")], BOOK)


def test_a_position_is_what_was_bought_less_what_was_sold_and_is_not_void() -> None:
    printed = (
        "TRADE-1\tdesk-1:1\tAAPL\tBUY\t100.000000000\tSUCCESS\n"
        "TRADE-2\tdesk-1:2\tAAPL\tSELL\t30.500000000\tSUCCESS\n"
        "TRADE-3\tdesk-1:1\tAAPL\tBUY\t100.000000000\tVOID\n"
    )
    book = read_book(printed)
    assert book == [Entry("TRADE-1", BUY), Entry("TRADE-2", SELL), Entry("TRADE-3", BUY, True)]
    assert positions(book) == {"AAPL": Decimal("69.5")}
