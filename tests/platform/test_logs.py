"""`make logs` on the deployed service."""

import json
import os
import signal
import subprocess
import threading
import time
from typing import Any

import requests

from tests.platform.conftest import Platform
from tests.support.needs import ROOT


def book(platform: Platform) -> Any:
    answer = requests.post(platform.trade_url, json={"symbol": "AAPL", "quantity": 100}, timeout=30)
    assert answer.status_code == 200
    return answer.json()


def logged(platform: Platform, *variables: str) -> list[dict[str, Any]]:
    """The JSON documents among the lines that `make logs` prints."""
    printed = platform.make("--silent", "logs", "SINCE=1d", *variables).stdout
    texts = [line.partition("  ")[2] for line in printed.splitlines()]
    return [json.loads(text) for text in texts if text.startswith("{")]


def test_one_request_is_found_among_all_that_the_function_logged(platform: Platform) -> None:
    booked = book(platform)
    everything = logged(platform)
    line = next(line for line in everything if line.get("trade_id") == booked["trade_id"])
    alone = logged(platform, f"REQUEST_ID={line['correlation_id']}")
    assert alone == [line]


def test_the_access_log_has_each_request_also_those_that_api_gateway_refuses(
    platform: Platform,
) -> None:
    book(platform)
    refused = requests.get(f"{platform.trade_url}/no/such/route", timeout=30)
    (line,) = logged(platform, "FUNCTION=api", f"REQUEST_ID={refused.json()['request_id']}")
    assert (line["method"], line["status"]) == ("GET", str(refused.status_code))
    assert line["error"] == "MISSING_AUTHENTICATION_TOKEN"
    booked = [line for line in logged(platform, "FUNCTION=api") if line["resource"] == "/trade"]
    assert {"method": "POST", "status": "200", "error": "-"}.items() <= booked[-1].items()
    assert int(booked[-1]["latency_ms"]) >= int(booked[-1]["integration_latency_ms"])


def test_later_lines_are_followed_until_an_interrupt(platform: Platform) -> None:
    following = subprocess.Popen(
        [ROOT / ".venv/bin/python", "-m", "service.deploy.logs"],
        cwd=ROOT,
        env={
            **platform.env,
            "ENVIRONMENT_SUFFIX": platform.environment,
            "FOLLOW": "1",
            # A busy machine may take some seconds to begin.
            "SINCE": "1m",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # What runs in the background of a shell ignores interrupts, and so does what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert following.stdout is not None
    patience = threading.Timer(90, following.kill)
    patience.start()
    time.sleep(3)
    trade_id = book(platform)["trade_id"]
    seen = next((line for line in following.stdout if trade_id in line), "nothing")
    assert '"trade booked"' in seen
    os.kill(following.pid, signal.SIGINT)
    rest = following.stdout.read()
    patience.cancel()
    assert trade_id not in rest
    assert "Traceback" not in rest
    assert following.wait(timeout=10) == 0


def test_what_does_not_exist_is_one_clear_line(platform: Platform) -> None:
    for variable, text in {
        "FUNCTION=Nothing": "error: FUNCTION 'Nothing': use api or one of ArchiveFunction, ",
        "REQUEST_ID=4008b8c6-4a6d": "has logged nothing about 4008b8c6-4a6d in this time",
        "SERVICE_STAGE=pr-9": "is not deployed: run `make deploy-service SERVICE_STAGE=pr-9`",
    }.items():
        printed = platform.make("--silent", "logs", variable, check=False).stdout
        assert text in printed
        assert "Traceback" not in printed
