"""The documentation's function; tests/platform shows its page in a browser."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from documentation import handler
from service.tools import openapi
from tests.service.conftest import ROOT, context


@pytest.fixture(autouse=True)
def definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        handler, "_FILES", {**handler._FILES, "openapi.json": handler._File(openapi.FILE, "x/y")}
    )


def get(file: str | None = None) -> dict[str, Any]:
    event = {
        "pathParameters": {"file": file} if file else None,
        "requestContext": {"requestId": "request-7"},
    }
    return handler.handler(event, context())


def test_the_page_names_files_that_are_served_here_and_none_from_elsewhere() -> None:
    page = get()["body"]
    names = re.findall(r'(?:href|src)="docs/([^"]+)"', page)
    assert names
    for name in [*names, "openapi.json"]:
        answer = get(name)
        assert answer["statusCode"] == 200
        # The most that API Gateway takes from a function is 6 MB.
        assert 0 < len(json.dumps(answer)) < 6_000_000
    assert "//" not in re.sub(r"<!doctype.*?>", "", page)


def test_scripts_come_from_this_origin_alone_and_nothing_is_cached() -> None:
    headers = get()["headers"]
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["handler.py", "../openapi.json", "..%2Fevents", "page.html"])
def test_other_files_are_not_served(name: str) -> None:
    answer = get(name)
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["request_id"] == "request-7"
    assert answer["headers"]["Content-Type"] == "application/problem+json"


def test_ready_events_have_the_form_of_api_gateways() -> None:
    events = {
        file.name: json.loads(file.read_text())
        for file in (ROOT / "service" / "events").glob("*.json")
    }
    assert {"post_trade.json", "ready.json", "post_trade_validate_only.json"} <= set(events)
