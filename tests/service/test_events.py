"""The ready events, which `make invoke EVENT=...` sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.tools import openapi
from tests.service.conftest import ROOT, context
from trading import api

EVENTS = ROOT / "service" / "events"


def send(name: str) -> dict[str, Any]:
    return api.handler(json.loads((EVENTS / f"{name}.json").read_text()), context())


@pytest.mark.usefixtures("service")
def test_each_event_is_answered() -> None:
    first = ["post_trade", "post_trade_with_key"]
    others = sorted({file.stem for file in EVENTS.glob("*.json")} - set(first))
    for name in (*first, *others):
        assert send(name)["statusCode"] == 200, name
    assert send("post_trade_with_key")["multiValueHeaders"]["Idempotency-Replayed"] == ["true"]


def test_each_event_is_of_a_documented_route_as_api_gateway_sends_it() -> None:
    for file in EVENTS.glob("*.json"):
        event = json.loads(file.read_text())
        context_ = event["requestContext"]
        assert event["httpMethod"].lower() in openapi.document()["paths"][event["resource"]]
        assert (context_["httpMethod"], context_["path"]) == (
            event["httpMethod"],
            f"/{context_['stage']}{event['path']}",
        )
        assert event["multiValueHeaders"] == {n: [v] for n, v in event["headers"].items()}
