"""`make logs` on the deployed service."""

import json
from typing import Any

import requests

from tests.platform.conftest import Platform


def test_one_request_is_found_among_all_that_the_function_logged(platform: Platform) -> None:
    booked: Any = requests.post(
        platform.trade_url, json={"symbol": "AAPL", "quantity": 100}, timeout=30
    )
    assert booked.status_code == 200
    everything = platform.make("--silent", "logs", "SINCE=1d").stdout
    assert booked.json()["trade_id"] in everything
    request = next(
        json.loads(f"{{{line.strip().rstrip(',')}}}")["function_request_id"]
        for line in reversed(everything.splitlines())
        if '"function_request_id"' in line
    )
    alone = platform.make("--silent", "logs", "SINCE=1d", f"REQUEST_ID={request}").stdout
    assert request in alone
    assert len(alone) < len(everything)


def test_a_function_that_does_not_exist_is_one_clear_line(platform: Platform) -> None:
    refused = platform.make("--silent", "logs", "FUNCTION=Nothing", check=False)
    assert refused.returncode != 0
    assert "error: sam logs failed" in refused.stdout
    assert "Traceback" not in refused.stdout
