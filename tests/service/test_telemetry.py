from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from local.database_server import MySQLError, MySQLServer
from tests.service.conftest import ROOT, Call, rows

ORDER = '{"symbol":"AAPL","quantity":100}'


def metrics(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if '"_aws"' in line]


def test_each_request_is_one_line_of_metrics_that_cloudwatch_reads(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call(ORDER)
    (line,) = metrics(capsys.readouterr().out)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "TradingPlatform"
    assert "environment" in directive["Dimensions"][0]
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    # On a busy machine, the first connection may take longer than a caller waits for one.
    units.pop("DatabaseRetries", None)
    assert units == {"TradesAccepted": "Count", "Latency": "Milliseconds"}
    assert line["environment"] == "test"
    assert line["TradesAccepted"] == 1
    assert 0 < line["Latency"] < 10_000


def test_replays_and_refusals_are_counted_apart(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call(ORDER, key="desk-7")
    call(ORDER, key="desk-7")
    call('{"symbol":"MSFT","quantity":1}', key="desk-7")
    call("{}")
    call(method="GET", path="/trade/nonsense")
    counts = [
        {name for name in line if name.startswith("Trades")}
        for line in metrics(capsys.readouterr().out)
    ]
    assert counts == [
        {"TradesAccepted"},
        {"TradesReplayed"},
        {"TradesRejected"},
        {"TradesRejected"},
        set(),
    ]


def test_a_repeated_statement_is_counted(
    call: Call,
    schema: Connection[Cursor],
    server: MySQLServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    call(ORDER)
    for (connection,) in rows(
        schema, "SELECT id FROM information_schema.processlist WHERE user = 'trade_app'"
    ):
        # That of an earlier test may end between the query and this statement.
        with contextlib.suppress(MySQLError):
            server.execute(f"KILL {connection}")
    capsys.readouterr()
    assert call(ORDER)[0] == 200
    (line,) = metrics(capsys.readouterr().out)
    # The new connection as well may take a busy machine too long, and is tried again.
    assert line["DatabaseRetries"] >= 1
    assert line["TradesAccepted"] == 1


PROGRAM = """
import sys
from trading.telemetry import traced

def handler(event, context):
    return event

print(traced(handler) is handler, "aws_xray_sdk" in sys.modules)
"""


@pytest.mark.parametrize(
    ("tracing", "printed"), [("PassThrough", "True False"), ("Active", "False True")]
)
def test_the_tracer_is_loaded_where_it_is_asked_for_and_costs_nothing_elsewhere(
    tracing: str, printed: str
) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(ROOT / "service" / "src"), "TRACING": tracing},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.strip() == printed


def test_a_traced_handler_answers_as_it_does_untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    from trading.telemetry import traced

    monkeypatch.setenv("TRACING", "Active")
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "1")
    traced_handler = traced(lambda event, _context: {"answer": event["question"]})
    context: Any = None
    assert traced_handler({"question": 7}, context) == {"answer": 7}
