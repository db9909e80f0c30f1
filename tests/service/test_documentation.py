"""The documentation's function; tests/platform shows its page in a browser."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from documentation import handler
from service.tools import openapi, request_model
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


def test_the_request_model_is_the_one_that_follows_from_the_openapi_document() -> None:
    definition = json.loads(openapi.FILE.read_text())
    assert json.loads(request_model.FILE.read_text()) == request_model.document(definition)


def test_a_changed_openapi_document_changes_the_request_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    definition = json.loads(openapi.FILE.read_text())
    definition["components"]["schemas"]["Order"]["properties"]["venue"] = {
        "type": "string",
        "maxLength": 4,
        "example": "XNAS",
    }
    (tmp_path / "openapi.json").write_text(json.dumps(definition))
    monkeypatch.setattr(request_model, "FOLDER", tmp_path)
    monkeypatch.setattr(request_model, "FILE", tmp_path / "request-model.json")
    request_model.main()
    written = json.loads((tmp_path / "request-model.json").read_text())
    assert written["properties"]["venue"] == {"type": "string", "maxLength": 4}


def test_ready_events_have_the_form_of_api_gateways() -> None:
    events = {
        file.name: json.loads(file.read_text())
        for file in (ROOT / "service" / "events").glob("*.json")
    }
    assert {"post_trade.json", "ready.json", "post_trade_validate_only.json"} <= set(events)
