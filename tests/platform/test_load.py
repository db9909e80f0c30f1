"""`make load` against the running platform."""

import re

from tests.platform.conftest import Platform
from tests.platform.test_local_platform import trades


def test_a_load_test_reports_and_finds_every_acknowledged_trade(platform: Platform) -> None:
    before = len(trades(platform))
    printed = platform.make(
        "load", f"URL={platform.trade_url}", "USERS=2", "SECONDS=3", "MOST_ERRORS=0.1"
    ).stdout
    (acknowledged,) = re.findall(r"(\d+) acknowledged, 0 given up", printed)
    assert len(trades(platform)) - before == int(acknowledged) > 0
    assert "0 not booked as acknowledged" in printed
    assert re.search(r"p50 \d+, p95 \d+, p99 \d+", printed)


def test_an_address_that_does_not_answer_is_one_line(platform: Platform) -> None:
    finished = platform.make("load", "URL=http://127.0.0.1:1", check=False)
    assert finished.returncode != 0
    assert "error: http://127.0.0.1:1 does not answer" in finished.stdout
    assert "Traceback" not in finished.stdout
