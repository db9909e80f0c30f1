"""The benchmarks run, their contenders do the job, and the report says what was measured."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from archive.positions import recount
from benchmarks import report
from benchmarks.deploy_loop import reported
from benchmarks.functions import (
    ARCHIVE,
    BARE,
    BOTO3_SECRET,
    CONNECTING,
    FASTAPI,
    POWERTOOLS,
    SERVICE,
)
from benchmarks.measure import Bars, Section, Spread, Table, Target, in_turn
from benchmarks.rig import (
    Rig,
    list_positions,
    list_trades,
    post_trade,
    post_trades,
    rig,
)
from benchmarks.runtime import Code, joining
from benchmarks.shares import control_groups, price_of_a_million, share
from local.triggers import without_triggers
from shared.cli.errors import UserError

CONTENDERS = {
    "bare": BARE,
    "boto3": BOTO3_SECRET,
    "connecting": CONNECTING,
    "fastapi": FASTAPI,
    "powertools": POWERTOOLS,
    "service": SERVICE,
}


@pytest.fixture(scope="module")
def here() -> Iterator[Rig]:
    with rig() as found:
        yield found


@pytest.mark.parametrize("name", CONTENDERS)
def test_each_contender_books_the_trade_of_its_request(here: Rig, name: str) -> None:
    event = post_trade()
    with here.function(CONTENDERS[name]) as environment:
        answer = environment.invoke(event)
        assert environment.cpu_seconds() > 0
        assert environment.peak_memory() > 10_000_000
    assert answer.document["statusCode"] == 200
    key = event["headers"]["Idempotency-Key"]
    booked = here.server.execute(
        f"SELECT trade_id, symbol, quantity FROM trading.trades WHERE client_order_id = '{key}'"
    )
    trade_id = json.loads(answer.document["body"])["trade_id"]
    assert booked.split() == [trade_id, "AAPL", "100"]


@pytest.mark.parametrize("name", ["fastapi", "service"])
def test_a_repeated_request_books_nothing_more(here: Rig, name: str) -> None:
    event = post_trade()
    with here.function(CONTENDERS[name]) as environment:
        answers = [environment.invoke(event).document["body"] for _ in range(2)]
    first, second = map(json.loads, answers)
    # The service also says whose trade it is.
    second.pop("principal", None)
    assert first == second


def test_a_batch_books_the_trades_of_its_request(here: Rig) -> None:
    event = post_trades(20)
    with here.function(SERVICE) as environment:
        answer = environment.invoke(event)
    assert answer.document["statusCode"] == 200
    ids = [trade["trade_id"] for trade in json.loads(answer.document["body"])["trades"]]
    keys = [trade["client_order_id"] for trade in json.loads(event["body"])["trades"]]
    booked = here.server.execute(
        "SELECT trade_id FROM trading.trades WHERE client_order_id IN "
        f"({', '.join(map(repr, keys))})"
    )
    assert sorted(booked.split()) == sorted(ids)
    assert len(ids) == 20


def test_filled_rows_are_found_counted_and_archived(here: Rig) -> None:
    here.fill(1, 2000, "2026-01-31")
    with here.function(SERVICE) as environment:
        page = json.loads(environment.invoke(list_trades(symbol="S7")).document["body"])
        positions = environment.invoke(list_positions()).document["body"]
    assert {trade["symbol"] for trade in page["trades"]} == {"S7"}
    assert len(json.loads(positions)["positions"]) == 1000
    with here.connect() as connection:
        assert recount(connection, lambda: True) == (1000, [])
    with here.function(ARCHIVE) as environment:
        assert environment.invoke({"date": "2026-01-31"}).document == {"2026-01-31": 2000}


def test_triggers_come_back_after_a_comparison_without_them(here: Rig) -> None:
    def names() -> set[str]:
        listed = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = "
        return set(here.server.execute(f"{listed} 'trading'").split())

    with here.connect() as owner:
        before = names()
        with without_triggers(owner, "%_position"):
            assert not {name for name in names() if name.endswith("_position")}
        assert names() == before
        assert "trades_booked_position" in before


@pytest.mark.skipif(
    not os.access(control_groups(), os.W_OK), reason="the user may not create control groups"
)
def test_a_share_of_a_cpu_is_no_more_than_that() -> None:
    busy = "import time; end = time.time() + 1\nwhile time.time() < end: pass"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with share(0.1) as group:
        subprocess.run([*joining(group), sys.executable, "-c", busy], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 0.5
    assert not group.exists()


def test_a_request_is_billed_in_whole_milliseconds_of_its_memory() -> None:
    two_milliseconds = price_of_a_million([1.1, 2.0], 1024)
    assert two_milliseconds == pytest.approx(0.20 + 1_000_000 * 0.002 * 0.0000133334)
    assert price_of_a_million([1.1, 2.0], 512) < two_milliseconds


def test_a_function_that_fails_ends_the_benchmark_with_its_error(here: Rig) -> None:
    with here.function(ARCHIVE) as environment, pytest.raises(UserError, match="Invalid isoformat"):
        environment.invoke({"date": "yesterday"})
    with pytest.raises(UserError, match="no_such_module"):
        here.function(Code("no_such_module.handler", [report.ROOT]))


def test_every_second_round_goes_backwards() -> None:
    order: list[str] = []
    values = in_turn({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert {name: len(rounds) for name, rounds in values.items()} == {"a": 3, "b": 3}


def test_the_report_of_a_load_test_is_read_by_name() -> None:
    printed = "8 users for 20 s\n  requests     90, 4.5 per second\n  milliseconds p50 12, p95 41\n"
    assert reported(printed.splitlines()) == [
        ("requests", "90, 4.5 per second"),
        ("milliseconds", "p50 12, p95 41"),
    ]


RATIO = Target("ratio", "ms", Spread.of([3, 2, 4]), 2, Spread.of([1, 1, 2]), reason="slow")
DIFFERENCE = Target("difference", "ms", Spread.of([3]), 2, Spread.of([1]), "difference")
ABSOLUTE = Target("absolute", "MB", Spread.of([5]), 4.9, kind="absolute", reason="large")


def test_targets_compare_medians_with_their_limit() -> None:
    assert [(t.value, t.met) for t in (RATIO, DIFFERENCE, ABSOLUTE)] == [
        (3, False),
        (2, True),
        (5, False),
    ]


def test_the_page_is_made_of_saved_results_and_says_what_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RESULTS", "DOCUMENT", "CHART"):
        monkeypatch.setattr(report, name, tmp_path / name)
    table = Table("A table", ("a", "b"), [("1", "2")])
    chart = Bars("A chart", "ms", [("this service", Spread.of([1, 2])), ("peer", Spread.of([4]))])
    section = Section("Title", "Text.", [RATIO, DIFFERENCE, ABSOLUTE], [table], [chart])
    names = ("first", "second")
    machine = {"Processor": "fast"}
    (tmp_path / "RESULTS").write_text('{"machine": {}, "sections": {}}')
    report.keep("first", Section("Of another machine", ""), {"Processor": "slow"}, names)
    report.keep("second", section, machine, names)
    page = (tmp_path / "DOCUMENT").read_text()
    for text in ("| Processor | fast |", "## Title", "| 1 | 2 |", "**ratio**. slow", "3.00 x"):
        assert text in page
    assert "Of another machine" not in page
    assert "not met: absolute: large" in report.summary([section])
    assert "difference:" not in report.summary([section])
    report.keep("first", Section("Earlier", "", date="2026-01-31"), machine, names)
    both = (tmp_path / "DOCUMENT").read_text()
    assert "Measured on 2026-01-31." in both
    assert both.index("## Earlier") < both.index("## Title")
    assert "3.00 x" in both
    drawn = ElementTree.parse(tmp_path / "CHART")
    assert "A chart" in {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
