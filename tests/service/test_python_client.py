"""The Python client against the service, and against an API that fails."""

from __future__ import annotations

import inspect
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from botocore.credentials import Credentials

from service.tools import openapi, python_client
from tests.service.conftest import ROOT
from tests.support.gateway import gateway
from tests.support.ports import free_port
from trading_client import (
    ApiError,
    Client,
    HttpTransport,
    NoCredentials,
    Signer,
    Unavailable,
    is_replay,
)
from trading_client.operations import BatchOrder, Operations, Order

ORDER: Order = {"symbol": "AAPL", "quantity": 100}


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


class Api:
    """The service behind HTTP. It answers the next requests with `failures` first.

    A failure that is `lost` reaches the service: only its answer is replaced.
    """

    def __init__(self) -> None:
        self.failures: list[tuple[int, dict[str, Any], bool]] = []
        self.requests: list[dict[str, Any]] = []
        self.server = make_server("127.0.0.1", 0, self, handler_class=Quiet)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def fail(self, status: int, code: str = "", *, lost: bool = False, **headers: str) -> None:
        problem = {"status": status, "code": code, "detail": "No.", "request_id": "1"}
        self.failures.append((status, {"problem": problem, "headers": headers}, lost))

    def __call__(self, environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        self.requests.append(dict(environ))
        if not self.failures:
            return gateway(environ, start)
        status, failure, lost = self.failures.pop(0)
        if lost:
            list(gateway(environ, lambda *_: None))
        headers = [(name.replace("_", "-"), value) for name, value in failure["headers"].items()]
        start(f"{status} {HTTPStatus(status).phrase}", headers)
        problem = failure["problem"]
        return [problem if isinstance(problem, bytes) else json.dumps(problem).encode()]

    def keys(self) -> list[str]:
        return [each["HTTP_IDEMPOTENCY_KEY"] for each in self.requests]


@pytest.fixture
def api(service: None) -> Iterator[Api]:
    api = Api()
    thread = threading.Thread(target=api.server.serve_forever, args=(0.01,))
    thread.start()
    yield api
    api.server.shutdown()
    thread.join()
    api.server.server_close()


@pytest.fixture
def client(api: Api) -> Client:
    return Client(api.url, sign=False)


def test_the_committed_operations_are_up_to_date() -> None:
    document = openapi.document()
    assert python_client.FILE.read_text() == python_client.render(document), "run `make openapi`"
    project = python_client.PROJECT.read_text()
    assert project == python_client.render_project(document, project), "run `make openapi`"


def test_every_operation_of_the_document_has_a_typed_method() -> None:
    for item in openapi.document()["paths"].values():
        for verb, operation in item.items():
            if verb != "parameters":
                name = python_client.method_name(operation["operationId"])
                assert inspect.signature(getattr(Client, name)).return_annotation


def test_the_page_names_every_method() -> None:
    page = (ROOT / "docs" / "reference" / "python-client.md").read_text()
    methods = {name for name in vars(Operations) if not name.startswith("_")} - {"call"}
    assert methods
    for name in methods | {"book"}:
        assert re.search(rf"`{name}[`(]", page), name


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "object", "properties": {"class": {"type": "string"}}}, "cannot be a name"),
        ({"type": "object", "properties": {"a": {"type": "file"}}}, "no type in Python is known"),
    ],
)
def test_a_document_that_the_generator_does_not_know_is_refused(
    schema: dict[str, Any], reason: str
) -> None:
    document = openapi.document()
    document["components"]["schemas"]["New"] = schema
    with pytest.raises(ValueError, match=reason):
        python_client.render(document)


class Pages:
    """Answers each request with the next page, and notes how the feed was asked for it."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self.pages = list(pages)
        self.asked: list[dict[str, Any]] = []

    def call(self, _method: str, _path: str, *, query: dict[str, Any]) -> dict[str, Any]:
        self.asked.append({name: value for name, value in query.items() if value is not None})
        return self.pages.pop(0)


def test_a_feed_is_followed_without_an_end() -> None:
    document = openapi.document()
    trades = document["paths"]["/trades"]["get"]
    names = ("from", "cursor")
    document["paths"]["/feed"] = {
        "get": {
            **trades,
            "operationId": "listFeed",
            "parameters": [each for each in trades["parameters"] if each["name"] in names],
            "responses": {"200": _answer_of(document, "FeedPage")},
        }
    }
    page = document["components"]["schemas"]["TradePage"]
    document["components"]["schemas"]["FeedPage"] = {**page, "required": list(page["properties"])}
    module: dict[str, Any] = {"__name__": "operations"}
    exec(python_client.render(document), module)
    pages = Pages(
        {"trades": [1, 2], "next_cursor": "b"},
        {"trades": [], "next_cursor": "b"},
        {"trades": [3], "next_cursor": "c"},
    )
    follow = module["Operations"].follow_feed
    followed = follow(with_list(pages, module), from_="2026-01-01T00:00:00Z", pause_seconds=0)
    assert [next(followed) for _ in range(3)] == [1, 2, 3]
    assert pages.asked == [{"from": "2026-01-01T00:00:00Z"}, {"cursor": "b"}, {"cursor": "b"}]


def with_list(pages: Pages, module: dict[str, Any]) -> Any:
    """Operations that get their answers from the pages."""
    return type("Stub", (module["Operations"],), {"call": staticmethod(pages.call)})()


def _answer_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": "A page.", "content": {"application/json": {"schema": schema}}}


def test_two_objects_of_one_name_are_refused() -> None:
    document = openapi.document()
    nested = {"type": "object", "properties": {"order": {"type": "object", "properties": {}}}}
    document["components"]["schemas"]["New"] = nested
    with pytest.raises(ValueError, match="two schemas would have the name Order"):
        python_client.render(document)


def test_a_trade_is_booked_found_listed_and_voided(client: Client) -> None:
    booked = client.book({**ORDER, "price": "1.5"}, key="desk-1:1")
    assert not is_replay(booked)
    found = client.find_trade(client_order_id="desk-1:1", consistent=True)
    assert (found["trade_id"], found["price"]) == (booked["trade_id"], "1.5")
    assert client.get_trade(booked["trade_id"]) == found
    assert client.list_trades(symbol="AAPL", from_="2026-01-31T10:30:00+01:00")["trades"] == [found]
    (position,) = client.list_positions()["positions"]
    assert (position["symbol"], position["quantity"]) == ("AAPL", 100)
    assert client.void_trade(booked["trade_id"])["status"] == "VOID"
    assert client.void_any_trade(booked["trade_id"], {"reason": "again"})["status"] == "VOID"
    assert (client.health()["status"], client.ready()["status"]) == ("ok", "ready")


def test_the_same_key_is_answered_with_a_replay(client: Client) -> None:
    first = client.book(ORDER, key="desk-1:1")
    second = client.book({**ORDER, "client_order_id": "desk-1:1"})
    assert is_replay(second)
    assert first["trade_id"] == second["trade_id"]


def test_an_order_is_validated_without_booking_it(client: Client) -> None:
    order: Order = {**ORDER, "validate_only": True}
    assert client.post_trade(order)["status"] == "VALID"
    with pytest.raises(ValueError, match="use post_trade"):
        client.book(order)
    assert not client.list_trades()["trades"]


def test_all_pages_are_read(client: Client) -> None:
    booked = [client.book(ORDER)["trade_id"] for _ in range(5)]
    assert [each["trade_id"] for each in client.iter_trades(limit=2)] == booked[::-1]
    assert not list(client.iter_trades(symbol="MSFT"))
    client.book({**ORDER, "symbol": "MSFT"})
    assert [each["symbol"] for each in client.iter_positions(limit=1)] == ["AAPL", "MSFT"]


def test_a_batch_is_booked_and_a_refused_one_says_what_is_wrong(client: Client) -> None:
    good: BatchOrder = {**ORDER, "client_order_id": "desk-1:1"}
    bad: BatchOrder = {**ORDER, "quantity": 0, "client_order_id": "desk-1:2"}
    assert [each["outcome"] for each in client.post_trades({"trades": [good]})["trades"]] == [
        "BOOKED"
    ]
    with pytest.raises(ApiError, match="422 BATCH_REFUSED") as refused:
        client.post_trades({"trades": [good, bad], "all_or_nothing": True})
    assert [each["outcome"] for each in refused.value.problem["trades"]][1] == "REFUSED"


def end_of_feed(client: Client) -> str:
    """The cursor after the newest event."""
    page = client.list_events(consistent=True)
    while page["events"]:
        page = client.list_events(cursor=page["next_cursor"], consistent=True)
    return page["next_cursor"]


def test_the_feed_is_followed(client: Client) -> None:
    end = end_of_feed(client)
    trade_id = client.book(ORDER)["trade_id"]
    client.void_trade(trade_id)
    events = client.follow_events(cursor=end, consistent=True, limit=1)
    seen = [(event["kind"], event["trade"]["trade_id"]) for event in islice(events, 2)]
    assert seen == [("BOOKED", trade_id), ("VOIDED", trade_id)]


def test_a_follower_of_the_feed_waits_for_the_next_event(api: Api, client: Client) -> None:
    end = end_of_feed(client)
    events = client.follow_events(cursor=end, pause_seconds=0.01, consistent=True)
    # The second page is asked for once the first one was empty.
    asked = len(api.requests) + 2
    with ThreadPoolExecutor(1) as follower:
        event = follower.submit(next, events)
        while len(api.requests) < asked:
            time.sleep(0.01)
        trade_id = client.book(ORDER)["trade_id"]
        assert event.result(30)["trade"]["trade_id"] == trade_id


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_request_is_repeated_under_one_key_until_the_outcome_is_known(
    api: Api, client: Client, status: int
) -> None:
    api.fail(status, lost=True)
    api.fail(status)
    booked = client.book(ORDER)
    assert is_replay(booked)
    assert len(set(api.keys())) == 1
    assert [each["trade_id"] for each in client.iter_trades()] == [booked["trade_id"]]


def test_the_next_attempt_waits_as_long_as_the_api_asks(api: Api) -> None:
    api.fail(503, Retry_After="60")
    with pytest.raises(Unavailable, match="for the key desk-1:1; the last: 503") as raised:
        Client(api.url, sign=False, patience_seconds=1).book(ORDER, key="desk-1:1")
    assert (raised.value.key, len(api.requests)) == ("desk-1:1", 1)


@pytest.mark.parametrize(
    ("status", "code"), [(400, "INVALID_TRADE"), (422, "KEY_REUSED"), (504, "READ_TIMED_OUT")]
)
def test_what_would_be_refused_again_is_sent_once(
    api: Api, client: Client, status: int, code: str
) -> None:
    api.fail(status, code)
    with pytest.raises(ApiError, match=f"{status} {code}: No. ") as raised:
        client.book(ORDER)
    assert (raised.value.code, len(api.requests)) == (code, 1)


@pytest.mark.parametrize("body", [b"Forbidden", b'"Forbidden"'])
def test_an_answer_that_is_no_problem_document_is_an_error(
    api: Api, client: Client, body: bytes
) -> None:
    api.failures.append((403, {"problem": body, "headers": {}}, False))
    with pytest.raises(ApiError, match="Forbidden") as raised:
        client.health()
    assert (raised.value.status, raised.value.code) == (403, "")


def test_no_answer_is_no_final_answer() -> None:
    client = Client(f"http://127.0.0.1:{free_port()}", sign=False, patience_seconds=0)
    with pytest.raises(Unavailable, match="Could not connect"):
        client.health()


def test_a_signed_request_has_the_headers_of_signature_version_4(api: Api) -> None:
    signer = Signer(api.url, Credentials("AKIDEXAMPLE", "secret", "token"), "eu-west-1")
    client = Client(api.url, transport=HttpTransport(api.url, signer=signer))
    client.list_trades(symbol="BTC/USD", side="BUY", limit=1)
    (request,) = api.requests
    scope = "/eu-west-1/execute-api/aws4_request"
    assert request["HTTP_AUTHORIZATION"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert scope in request["HTTP_AUTHORIZATION"]
    assert request["HTTP_X_AMZ_SECURITY_TOKEN"] == "token"
    assert request["QUERY_STRING"] == "limit=1&side=BUY&symbol=BTC%2FUSD"


def test_signing_without_credentials_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(NoCredentials, match="there are no AWS credentials"):
        Client("https://abc.execute-api.eu-west-1.amazonaws.com/dev")
