"""The ready events, which `make invoke EVENT=...` sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.tools import openapi
from tests.service.conftest import ROOT, context
from trading import api
from trading.fields import TRADE_ID

# Events about one trade name this one; who sends them puts a trade of their own in its place.
EXAMPLE = TRADE_ID.example
EVENTS = ROOT / "service" / "events"


def send(name: str, trade_id: str = EXAMPLE) -> dict[str, Any]:
    """Send an event; one that is about the example's trade is sent about another."""
    event = (EVENTS / f"{name}.json").read_text().replace(EXAMPLE, trade_id)
    return api.handler(json.loads(event), context())


@pytest.mark.usefixtures("service")
def test_each_event_is_answered() -> None:
    booked = send("post_trade_with_key")
    assert booked["statusCode"] == 200
    trade_id = json.loads(booked["body"])["trade_id"]
    for name in sorted({file.stem for file in EVENTS.glob("*.json")} - {"post_trade_with_key"}):
        assert send(name, trade_id)["statusCode"] == 200, name
    assert send("post_trade_with_key")["multiValueHeaders"]["Idempotency-Replayed"] == ["true"]


def test_each_route_has_an_event() -> None:
    events = [json.loads(file.read_text()) for file in EVENTS.glob("*.json")]
    routes = {
        (method.upper(), path)
        for path, item in openapi.document()["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert routes == {(event["httpMethod"], event["resource"]) for event in events}


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
