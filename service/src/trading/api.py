"""The routes of the HTTP API: each parses, calls and answers."""

import base64
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading import fields, paging, snapshot, telemetry
from trading.batches import Result, book_batch, parse_batch
from trading.database import Database, Deadline
from trading.errors import (
    BatchRefused,
    InvalidTrade,
    MethodNotAllowed,
    RouteNotFound,
    TradingError,
)
from trading.feed import cursor_of, parse_start, read_feed
from trading.models import Caller, Order, PagePosition, Position, Trade, TradeFilter
from trading.secret import CredentialStore, fetch_credentials
from trading.settings import ROLE, Settings, load_settings
from trading.store import TradeStore
from trading.telemetry import logger, measured, traced
from trading.trades import (
    book_trade,
    check_trade_id,
    found,
    parse_order,
    parse_query,
    parse_reason,
    void_any_trade,
    void_own_trade,
)

# API Gateway waits 29 s, and a first request includes the start of its execution environment.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
_REQUEST_SECONDS = 20.0
_READINESS_SECONDS = 2.0
# Kept for the answer, of the function's remaining time.
_MARGIN_SECONDS = 1.0

_JSON, _PROBLEM = "application/json", "application/problem+json"
_HEADERS = {
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}

# What becomes of a trade of a batch.
BOOKED, REPLAYED, REFUSED, SKIPPED = fields.OUTCOMES
_BATCH_METRICS = {
    BOOKED: telemetry.TRADES_ACCEPTED,
    REPLAYED: telemetry.TRADES_REPLAYED,
    REFUSED: telemetry.TRADES_REJECTED,
}

# `from` is a word of Python's own.
_FILTER_NAMES = {"from": "since", "to": "before"}

app = APIGatewayRestResolver()


@dataclass(frozen=True)
class Environment:
    """What an execution environment keeps between requests. It connects at first use."""

    settings: Settings
    credentials: CredentialStore
    writer: Database
    reader: Database


@functools.cache
def environment() -> Environment:
    """This execution environment."""
    settings = load_settings()
    credentials = CredentialStore(
        lambda version_stage: fetch_credentials(settings.app_secret_arn, version_stage)
    )
    return Environment(
        settings=settings,
        credentials=credentials,
        writer=Database(settings.writer, credentials),
        reader=Database(settings.reader, credentials),
    )


snapshot.prepare(forget=environment.cache_clear)


@app.post("/trade")
def post_trade() -> Response[str]:
    """Book a trade."""
    order, validate_only = parse_order(_body(), _keys())
    if validate_only:
        return _answer({**_order_document(order), "status": "VALID"})
    booking = book_trade(order, _caller(), _store())
    trade_id = booking.trade.trade_id
    if booking.is_replay:
        telemetry.count(telemetry.TRADES_REPLAYED)
        telemetry.tell("trade replayed", trade_id=trade_id)
    else:
        telemetry.count(telemetry.TRADES_ACCEPTED)
        telemetry.tell("trade booked", trade_id=trade_id)
    settings = environment().settings
    document = {
        "trade_id": trade_id,
        "symbol": order.symbol,
        "quantity": fields.quantity(order.quantity),
        "status": booking.trade.status,
        "region": settings.region,
        "environment": settings.environment,
        "db_endpoint": settings.writer.host,
    }
    if not booking.is_replay:
        return _answer(document)
    # The trade may be another person's of the same role, and void by now.
    document["principal"] = booking.trade.caller.principal
    return _answer(document, {"Idempotency-Replayed": "true"})


@app.post("/trades")
def post_trades() -> Response[str]:
    """Book many trades."""
    results = book_batch(parse_batch(_body(), _keys()), _caller(), _store())
    documents = _result_documents(results)
    telemetry.tell("batch booked")
    outcomes = [document["outcome"] for document in documents]
    counts = {name.lower(): outcomes.count(name) for name in _BATCH_METRICS}
    return _answer({**counts, "trades": documents})


@app.get("/trade")
def find_trade() -> Response[str]:
    """Look up the caller's trade of a client_order_id."""
    query = _query(fields.FIND_TRADE)
    trade = _store().find_by_client_order_id(
        _caller(), query["client_order_id"], consistent=query["consistent"]
    )
    return _answer(_trade_document(found(trade)))


@app.get("/trade/<trade_id>")
def get_trade(trade_id: str) -> Response[str]:
    """Look up a trade."""
    query = _query(fields.GET_TRADE)
    trade = _store().find(check_trade_id(trade_id), consistent=query["consistent"])
    return _answer(_trade_document(found(trade)))


@app.delete("/trade/<trade_id>")
def delete_trade(trade_id: str) -> Response[str]:
    """Void a trade of the caller's own."""
    _query({})
    return _answer_void(void_own_trade(trade_id, _caller(), _store()))


@app.post("/trade/<trade_id>/void")
def post_void(trade_id: str) -> Response[str]:
    """Void a trade of any caller, with a reason."""
    _query({})
    return _answer_void(void_any_trade(trade_id, parse_reason(_body()), _caller(), _store()))


@app.get("/trades")
def list_trades() -> Response[str]:
    """List trades, newest first, page by page."""
    query = _query(fields.LIST_TRADES)
    wanted = TradeFilter(**{_FILTER_NAMES.get(name, name): query[name] for name in fields.FILTERS})
    key = environment().credentials.cursor_key()
    after = paging.decode(query["cursor"], wanted, key) if query["cursor"] else None
    limit = query["limit"]
    # One more trade than wanted shows whether there is another page.
    trades = _store().page(wanted, after=after, limit=limit + 1, consistent=query["consistent"])
    document: dict[str, Any] = {"trades": [_trade_document(trade) for trade in trades[:limit]]}
    if len(trades) > limit:
        last = trades[limit - 1]
        document["next_cursor"] = paging.encode(
            PagePosition(last.created_at, last.trade_id), wanted, key
        )
    return _answer(document)


@app.get("/events")
def list_events() -> Response[str]:
    """What happened in the book after a place, in order."""
    query = _query(fields.LIST_EVENTS)
    store = _store()
    start = parse_start(query["cursor"], query["from"], store)
    page = read_feed(start, query["limit"], store, consistent=query["consistent"])
    events = [
        {
            "kind": event.kind,
            "cursor": cursor_of(event.place),
            "trade": _trade_document(event.trade),
        }
        for event in page.events
    ]
    return _answer({"events": events, "next_cursor": cursor_of(page.end)})


@app.get("/positions")
def list_positions() -> Response[str]:
    """The net quantity of each symbol, page by page."""
    query = _query(fields.LIST_POSITIONS)
    limit = query["limit"]
    # One more position than wanted shows whether there is another page.
    positions = _store().positions(
        query["symbol"],
        after=query["cursor"],
        limit=limit + 1,
        consistent=query["consistent"],
    )
    document: dict[str, Any] = {
        "positions": [_position_document(position) for position in positions[:limit]]
    }
    if len(positions) > limit:
        document["next_cursor"] = positions[limit - 1].symbol
    return _answer(document)


@app.get("/health")
def health() -> Response[str]:
    """Whether the service runs."""
    return _answer({"status": "ok"})


@app.get("/health/ready")
def ready() -> Response[str]:
    """Whether the service runs and its database answers."""
    _store(_READINESS_SECONDS).check()
    return _answer({"status": "ready"})


@app.exception_handler(BatchRefused)  # type: ignore[untyped-decorator]
def on_batch_refused(error: BatchRefused) -> Response[str]:
    """Tell the caller which trades of a batch are refused."""
    telemetry.tell("batch refused")
    more = {"trades": _result_documents(error.results)}
    return _problem(error.status, error.code, str(error), more=more)


@app.exception_handler(TradingError)  # type: ignore[untyped-decorator]
def on_trading_error(error: TradingError) -> Response[str]:
    """Tell the caller what is wrong with the request, or that the database is unavailable."""
    event = app.current_event
    is_booking = event.http_method == "POST" and event.path.rstrip("/") in {"/trade", "/trades"}
    if error.status < HTTPStatus.INTERNAL_SERVER_ERROR and is_booking:
        telemetry.count(telemetry.TRADES_REJECTED)
    logger.warning("request failed", code=error.code, reason=str(error), exc_info=error.__cause__)
    return _problem(error.status, error.code, str(error), error.headers)


@app.not_found
def on_not_found(_error: NotFoundError) -> Response[str]:
    """Tell the caller that there is no such route."""
    method, path = app.current_event.http_method, app.current_event.path
    # Powertools has no public access to its routes.
    routes = app._static_routes + app._dynamic_routes
    allowed = sorted(route.method for route in routes if route.rule.match(path))
    if allowed:
        raise MethodNotAllowed(f"{path} has no {method}.", ", ".join(allowed))
    raise RouteNotFound(f"There is no {path}.")


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def on_unexpected_error(_error: Exception) -> Response[str]:
    """Log the details of a defect, and hide them from the caller."""
    logger.exception("unexpected error")
    return _problem(
        TradingError.status,
        TradingError.code,
        "The service failed. A change may have been made or not: send the request again with the "
        "same key.",
    )


@traced
@logger.inject_lambda_context
@measured
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway (REST API, Lambda proxy integration)."""
    telemetry.correlate(event["requestContext"]["requestId"])
    return app.resolve(event, context)


def _store(most_seconds: float = _REQUEST_SECONDS) -> TradeStore:
    left = app.lambda_context.get_remaining_time_in_millis() / 1000 - _MARGIN_SECONDS
    place = environment()
    return TradeStore(place.writer, place.reader, Deadline.after(min(left, most_seconds)))


def _caller() -> Caller:
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
    context = app.current_event.request_context
    identity = context.identity
    # Callers can choose the request ID, but not the extended one.
    request_id = context.extended_request_id
    if not identity.caller:
        return Caller("anonymous", None, "anonymous", None, request_id)
    return Caller(
        _scope(identity.caller),
        identity.account_id,
        identity.user_arn or identity.caller,
        identity.access_key,
        request_id,
    )


def _scope(caller: str) -> str:
    # An assumed role is AROA…:session. The session's name may change each time.
    is_role = environment().settings.caller_scope == ROLE and caller.startswith("AROA")
    return caller.partition(":")[0] if is_role else caller


def _query(known: Mapping[str, fields.Field]) -> dict[str, Any]:
    return parse_query(known, app.current_event.multi_value_query_string_parameters)


def _keys() -> list[str]:
    """Every value of the key's header, of which `headers` would hide all but the last."""
    name = fields.KEY_HEADER.lower()
    event = app.current_event
    sent = event.get("multiValueHeaders") or {n: [v] for n, v in event.headers.items()}
    return [value for header, values in sent.items() if header.lower() == name for value in values]


def _body() -> bytes:
    body = app.current_event.body or ""
    if not app.current_event.is_base64_encoded:
        # Half a surrogate pair is refused later, with everything else that is not UTF-8.
        return body.encode(errors="surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError:
        raise InvalidTrade("The body is not valid base64.") from None


def _order_document(order: Order) -> dict[str, Any]:
    return {
        name: None if (value := getattr(order, name)) is None else field.write(value)
        for name, field in fields.ANSWERED_ORDER.items()
    }


def _trade_document(trade: Trade) -> dict[str, Any]:
    void = trade.void
    return {
        "trade_id": trade.trade_id,
        "created_at": fields.instant(trade.created_at),
        "status": trade.status,
        **_order_document(trade.order),
        "account": trade.caller.account,
        "principal": trade.caller.principal,
        "voided_at": None if void is None else fields.instant(void.at),
        "voided_by": None if void is None else void.by.principal,
        "void_reason": None if void is None else void.reason,
    }


def _result_documents(results: Sequence[Result]) -> list[dict[str, Any]]:
    documents = [_result_document(result) for result in results]
    for document in documents:
        if document["outcome"] in _BATCH_METRICS:
            telemetry.count(_BATCH_METRICS[document["outcome"]])
    return documents


def _result_document(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = dict.fromkeys(("client_order_id", "trade_id", "status", "principal"))
    if result is None:
        return {"outcome": SKIPPED, **document, "code": None, "detail": None}
    if isinstance(result, TradingError):
        return {"outcome": REFUSED, **document, "code": result.code, "detail": str(result)}
    trade = result.trade
    return {
        "outcome": REPLAYED if result.is_replay else BOOKED,
        "client_order_id": trade.order.client_order_id,
        "trade_id": trade.trade_id,
        "status": trade.status,
        # The trade may be another person's of the same role.
        "principal": trade.caller.principal if result.is_replay else None,
        "code": None,
        "detail": None,
    }


def _position_document(position: Position) -> dict[str, Any]:
    return {
        "symbol": position.symbol,
        "quantity": fields.quantity(position.quantity),
        "exact_quantity": fields.amount(position.quantity),
    }


def _answer_void(trade: Trade) -> Response[str]:
    telemetry.tell("trade voided", trade_id=trade.trade_id)
    return _answer(_trade_document(trade))


def _answer(
    document: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> Response[str]:
    return Response(HTTPStatus.OK, _JSON, json.dumps(document), {**_HEADERS, **(headers or {})})


def _problem(
    status: int,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Response[str]:
    # https://www.rfc-editor.org/rfc/rfc9457
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "request_id": app.current_event.request_context.request_id,
        **(more or {}),
    }
    return Response(status, _PROBLEM, json.dumps(document), {**_HEADERS, **(headers or {})})
