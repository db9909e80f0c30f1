"""The OpenAPI document of the API, made from the service's own code.

What fields may hold comes from `trading.fields`, which checks the requests, too; problem codes
come from `trading.errors`. A test compares the committed `openapi.json` with what this makes.
OpenAPI 3.0, for API Gateway imports no later one:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from trading import fields
from trading.errors import (
    BatchRefused,
    CursorGone,
    DatabaseUnavailable,
    InvalidBatch,
    InvalidCursor,
    InvalidParameter,
    InvalidTrade,
    InvalidVoid,
    KeyMismatch,
    KeyReused,
    NotYourTrade,
    ReadTimedOut,
    TradeNotFound,
    TradingError,
)
from trading.fields import Field, Text
from trading.models import BOOKED, SUCCESS, VOIDED

FILE = Path(__file__).parents[1] / "openapi.json"

_OUTCOME_UNKNOWN = "The outcome is unknown: send the same request again, with the same key."


def document() -> dict[str, Any]:
    """The OpenAPI document as plain data."""
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Trade service",
            "version": "2.1.0",
            "description": "Books trades, each exactly once, and shows, lists and voids them.",
        },
        "paths": {
            "/trade": {"post": _post_trade(), "get": _find_trade()},
            "/trade/{trade_id}": {
                "parameters": [_trade_id()],
                "get": _get_trade(),
                "delete": _void_trade(),
            },
            "/trade/{trade_id}/void": {"parameters": [_trade_id()], "post": _void_any_trade()},
            "/trades": {"post": _post_trades(), "get": _list_trades()},
            "/events": {"get": _list_events()},
            "/positions": {"get": _list_positions()},
            "/health": {"get": _health("health", "Whether the service runs.", "ok", [])},
            "/health/ready": {
                "get": _health(
                    "ready",
                    "Whether the service runs and its database answers.",
                    "ready",
                    [DatabaseUnavailable],
                )
            },
        },
        "components": {"schemas": _schemas()},
    }


def _post_trade() -> dict[str, Any]:
    return {
        "operationId": "postTrade",
        "summary": "Book a trade.",
        "description": "With a key, the trade is booked exactly once, however often you send the "
        "request. Later requests get the booked trade, marked as a replay. Without a key, each "
        "request books a new trade.",
        "parameters": [
            {
                "name": fields.KEY_HEADER,
                "in": "header",
                "required": False,
                "description": "Another name for the field `client_order_id`. If both are given, "
                "they must be equal. The key may be in double quotes.",
                "schema": _quotable(fields.CLIENT_ORDER_ID),
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _reference("Order"),
                    "example": {"symbol": "AAPL", "quantity": 100},
                }
            },
        },
        "responses": {
            "200": {
                "description": "The trade was booked; with `validate_only`, it could be.",
                "headers": {
                    "Idempotency-Replayed": {
                        "description": "`true` if an earlier request with this key booked the "
                        "trade; absent otherwise.",
                        "schema": {"type": "string", "enum": ["true"]},
                    }
                },
                "content": {
                    "application/json": {
                        "schema": {
                            "oneOf": [
                                _reference("BookedTrade"),
                                _reference("ReplayedTrade"),
                                _reference("ValidOrder"),
                            ]
                        }
                    }
                },
            },
            **_problems(
                InvalidTrade, InvalidParameter, KeyMismatch, KeyReused, DatabaseUnavailable
            ),
        },
    }


def _post_trades() -> dict[str, Any]:
    refused = _problems(BatchRefused)["422"]
    refused["content"]["application/problem+json"]["schema"] = _reference("RefusedBatch")
    return {
        "operationId": "postTrades",
        "summary": "Book many trades.",
        "description": "Each trade has a key and is booked exactly once, however often you send "
        "the batch, a part of it, or the trade alone. The answer says what became of each trade, "
        "in the order of the batch.",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _reference("Batch"),
                    "example": {
                        "trades": [
                            {"symbol": "AAPL", "quantity": 100, "client_order_id": "desk-7:0001"},
                            {"symbol": "MSFT", "quantity": 50, "client_order_id": "desk-7:0002"},
                        ]
                    },
                }
            },
        },
        "responses": {
            "200": _json("What became of each trade.", _reference("BookedBatch")),
            **_problems(InvalidBatch, InvalidParameter, DatabaseUnavailable),
            "422": refused,
        },
    }


def _find_trade() -> dict[str, Any]:
    return {
        "operationId": "findTrade",
        "summary": "Look up the caller's own trade by its client_order_id.",
        "parameters": _query(fields.FIND_TRADE),
        "responses": {
            "200": _json("The trade.", _reference("Trade")),
            **_problems(InvalidParameter, TradeNotFound, ReadTimedOut, DatabaseUnavailable),
        },
    }


def _get_trade() -> dict[str, Any]:
    return {
        "operationId": "getTrade",
        "summary": "Look up a trade.",
        "parameters": _query(fields.GET_TRADE),
        "responses": {
            "200": _json("The trade.", _reference("Trade")),
            **_problems(InvalidParameter, TradeNotFound, ReadTimedOut, DatabaseUnavailable),
        },
    }


_VOIDING = (
    "A void cannot be undone. Voiding a void trade changes nothing and returns the same answer."
)


def _void_trade() -> dict[str, Any]:
    return {
        "operationId": "voidTrade",
        "summary": "Void one of the caller's own trades.",
        "description": _VOIDING,
        "responses": {
            "200": _json("The void trade.", _reference("Trade")),
            **_problems(InvalidParameter, NotYourTrade, TradeNotFound, DatabaseUnavailable),
        },
    }


def _void_any_trade() -> dict[str, Any]:
    return {
        "operationId": "voidAnyTrade",
        "summary": "Void a trade of any caller, with a reason.",
        "description": f"{_VOIDING} An IAM policy can withhold this route from callers.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _reference("Voiding")}},
        },
        "responses": {
            "200": _json("The void trade.", _reference("Trade")),
            **_problems(InvalidVoid, InvalidParameter, TradeNotFound, DatabaseUnavailable),
        },
    }


def _trade_id() -> dict[str, Any]:
    return {
        "name": "trade_id",
        "in": "path",
        "required": True,
        "schema": fields.TRADE_ID.schema(),
    }


def _list_trades() -> dict[str, Any]:
    return {
        "operationId": "listTrades",
        "summary": "List trades, newest first.",
        "parameters": _query(fields.LIST_TRADES),
        "responses": {
            "200": _json("A page of trades.", _reference("TradePage")),
            **_problems(InvalidParameter, InvalidCursor, ReadTimedOut, DatabaseUnavailable),
        },
    }


def _list_events() -> dict[str, Any]:
    return {
        "operationId": "listEvents",
        "summary": "List what happened in the book, in order, for followers.",
        "description": "A follower that continues with `next_cursor` gets each event once and "
        "misses none, even while others book trades. An event never changes.",
        "parameters": _query(fields.LIST_EVENTS),
        "responses": {
            "200": _json("A page of events.", _reference("EventPage")),
            **_problems(InvalidParameter, CursorGone, ReadTimedOut, DatabaseUnavailable),
        },
    }


def _list_positions() -> dict[str, Any]:
    return {
        "operationId": "listPositions",
        "summary": "The net quantity of each symbol: bought minus sold, without void trades.",
        "parameters": _query(fields.LIST_POSITIONS),
        "responses": {
            "200": _json("A page of positions, by symbol.", _reference("Positions")),
            **_problems(InvalidParameter, ReadTimedOut, DatabaseUnavailable),
        },
    }


def _health(
    operation: str, summary: str, status: str, errors: list[type[TradingError]]
) -> dict[str, Any]:
    body = _object({"status": {"type": "string", "enum": [status]}})
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": _json("It does.", body), **_problems(*errors)},
    }


_TEXT = {"type": "string"}
_WHO = {**_TEXT, "description": "ARN of who booked the trade; `anonymous` without authorization."}


def _schemas() -> dict[str, Any]:
    booked = {
        "trade_id": fields.TRADE_ID.schema(),
        "symbol": _plain(fields.SYMBOL),
        "quantity": _plain(fields.QUANTITY),
        "region": {**_TEXT, "example": "us-east-1"},
        "environment": {**_TEXT, "example": "dev"},
        "db_endpoint": {**_TEXT, "description": "The database that holds the trade."},
    }
    return {
        "Order": _request(fields.ORDER),
        "BookedTrade": _object({**booked, "status": {"type": "string", "enum": [SUCCESS]}}),
        "ReplayedTrade": _object({**booked, "status": _plain(fields.STATUS), "principal": _WHO}),
        "ValidOrder": _object(
            {**_answered_order(), "status": {"type": "string", "enum": ["VALID"]}}
        ),
        "Batch": _request(fields.BATCH),
        "BatchOrder": _request(fields.BATCH_ORDER),
        "BookedBatch": _object({**_counts(), "trades": _batch_results()}),
        "BatchResult": _batch_result_schema(),
        "RefusedBatch": _refused_batch_schema(),
        "Trade": _trade_schema(),
        "Voiding": _object({name: field.schema() for name, field in fields.VOIDING.items()}),
        "TradePage": _page_schema(),
        "EventPage": _event_page_schema(),
        "Event": _event_schema(),
        "Positions": _positions_schema(),
        "Problem": _problem_schema(),
    }


def _request(known: Mapping[str, Field]) -> dict[str, Any]:
    """The body of a request: an object whose fields have rules."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in known.items() if field.required],
        "properties": {name: field.schema() for name, field in known.items()},
    }


def _counts() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0, "maximum": fields.MAX_BATCH}
    return {
        "booked": {**count, "description": "Trades that this request booked."},
        "replayed": {**count, "description": "Trades that an earlier request booked."},
        "refused": {**count, "description": "Trades that were not booked."},
    }


def _batch_results() -> dict[str, Any]:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": fields.MAX_BATCH,
        "items": _reference("BatchResult"),
    }


def _batch_result_schema() -> dict[str, Any]:
    outcome = {
        "type": "string",
        "enum": list(fields.OUTCOMES),
        "description": "`BOOKED`: this request booked it. `REPLAYED`: an earlier request with this "
        "key booked it. `REFUSED`: not booked, for the reason in `code` and `detail`. `SKIPPED`: "
        "this request did not book it, because another trade of the all-or-nothing batch was "
        "refused.",
    }
    return _object(
        {
            "outcome": outcome,
            **{
                name: _nullable(schema)
                for name, schema in {
                    "client_order_id": _plain(fields.CLIENT_ORDER_ID),
                    "trade_id": fields.TRADE_ID.schema(),
                    "status": _plain(fields.STATUS),
                    "principal": {**_WHO, "description": f"For a replay: {_WHO['description']}"},
                    "code": {
                        "type": "string",
                        "enum": [InvalidTrade.code, KeyReused.code],
                        "description": "For a refused trade: what is wrong, for programs.",
                    },
                    "detail": {**_TEXT, "description": "The same, for people."},
                }.items()
            },
        }
    )


def _refused_batch_schema() -> dict[str, Any]:
    problem = _problem_schema()
    return {
        **_object({**problem["properties"], "trades": _batch_results()}),
        "description": "A problem document that says what became of each trade of the batch.",
    }


def _answered_order() -> dict[str, Any]:
    return {name: _answered(field) for name, field in fields.ANSWERED_ORDER.items()}


def _trade_schema() -> dict[str, Any]:
    time = fields.Instant("A time in UTC, to the microsecond.").schema()
    return _object(
        {
            "trade_id": fields.TRADE_ID.schema(),
            "created_at": {**time, "description": "When the trade was booked."},
            "status": _plain(fields.STATUS),
            **_answered_order(),
            "account": _nullable({**_TEXT, "description": "AWS account of who booked the trade."}),
            "principal": _WHO,
            "voided_at": _nullable({**time, "description": "When the trade was voided."}),
            "voided_by": _nullable({**_TEXT, "description": "ARN of who voided the trade."}),
            "void_reason": _nullable(
                {**_TEXT, "description": "The reason of the void, if one was given."}
            ),
        }
    )


def _page_schema() -> dict[str, Any]:
    cursor = fields.LIST_TRADES["cursor"]
    return _page("trades", fields.MAX_PAGE, _reference("Trade"), cursor)


def _page(name: str, maximum: int, item: dict[str, Any], cursor: Field) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name],
        "properties": {
            name: {"type": "array", "maxItems": maximum, "items": item},
            "next_cursor": {
                **_plain(cursor),
                "description": "Leads to the next page; absent on the last one.",
            },
        },
    }


def _event_page_schema() -> dict[str, Any]:
    events = {"type": "array", "maxItems": fields.MAX_EVENTS, "items": _reference("Event")}
    cursor = {
        **_plain(fields.LIST_EVENTS["cursor"]),
        "description": "Leads to the events that follow, now or later.",
    }
    return _object({"events": events, "next_cursor": cursor})


def _event_schema() -> dict[str, Any]:
    kind = {
        "type": "string",
        "enum": [BOOKED, VOIDED],
        "description": "What happened to the trade. The event shows it as it was then.",
    }
    cursor = {
        **_plain(fields.LIST_EVENTS["cursor"]),
        "description": "Leads to the events after this one.",
    }
    return _object({"kind": kind, "cursor": cursor, "trade": _reference("Trade")})


def _positions_schema() -> dict[str, Any]:
    exact = {
        "type": "string",
        "pattern": r"^-?(0|[1-9][0-9]*)(\.[0-9]{1,9})?$",
        "example": "-120.5",
    }
    quantity = {
        "description": "Negative if more was sold than bought. A string if it is not whole, or "
        "beyond 2^53 - 1, where many readers of JSON round numbers.",
        "oneOf": [{"type": "integer", "minimum": 1 - 2**53, "maximum": 2**53 - 1}, exact],
    }
    position = _object(
        {
            "symbol": _plain(fields.SYMBOL),
            "quantity": quantity,
            "exact_quantity": {**exact, "description": "The same, always as a string."},
        }
    )
    return _page("positions", fields.MAX_POSITIONS, position, fields.LIST_POSITIONS["cursor"])


def _problem_schema() -> dict[str, Any]:
    codes = {error.code for error in _all_errors(TradingError)}
    return {
        **_object(
            {
                "type": {"type": "string", "enum": ["about:blank"]},
                "title": {"type": "string", "description": "The HTTP status in words."},
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "code": {
                    "type": "string",
                    "description": "What is wrong, for programs. A code does not change.",
                    "enum": sorted(codes),
                },
                "detail": {
                    "type": "string",
                    "description": "What is wrong, for people. The words may change.",
                },
                "request_id": {"type": "string", "description": "Finds the request in the logs."},
            }
        ),
        "description": "A problem document (RFC 9457).",
    }


def _all_errors(base: type[TradingError]) -> set[type[TradingError]]:
    return {base}.union(*(_all_errors(error) for error in base.__subclasses__()))


def _problems(*errors: type[TradingError]) -> dict[str, Any]:
    """The responses for errors, by status; any request may meet a defect."""
    by_status: dict[int, list[type[TradingError]]] = {}
    possible: list[type[TradingError]] = [*errors, TradingError]
    for error in possible:
        by_status.setdefault(error.status, []).append(error)
    return {str(status): _problem_response(status, found) for status, found in by_status.items()}


def _problem_response(status: int, errors: list[type[TradingError]]) -> dict[str, Any]:
    said = "; ".join(f"`{error.code}`: {(error.__doc__ or '').splitlines()[0]}" for error in errors)
    response: dict[str, Any] = {
        "description": said,
        "content": {"application/problem+json": {"schema": _reference("Problem")}},
    }
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and errors != [ReadTimedOut]:
        response["description"] = f"{said} {_OUTCOME_UNKNOWN}"
    if status == DatabaseUnavailable.status:
        response["headers"] = {
            "Retry-After": {
                "description": "Seconds to wait before the next attempt.",
                "schema": {"type": "integer", "minimum": 1},
            }
        }
    return response


def _query(known: Mapping[str, Field]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": field.required, "schema": field.schema()}
        for name, field in known.items()
    ]


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object that always has all its properties and no others."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": dict(properties),
    }


def _json(description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _plain(field: Field) -> dict[str, Any]:
    """A field in an answer, where nothing has a default."""
    return {name: value for name, value in field.schema().items() if name != "default"}


def _quotable(field: Text) -> dict[str, Any]:
    """A text that may stand in double quotes."""
    return {
        **_plain(field),
        "maxLength": field.max_length + 2,
        "pattern": f'^({field.pattern}|"{field.pattern}")$',
    }


def _answered(field: Field) -> dict[str, Any]:
    """A field of an order in an answer: null if it was left out and has no default."""
    is_always_there = field.required or field.default is not None
    return _plain(field) if is_always_there else _nullable(field.schema())


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "nullable": True}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def render() -> str:
    """The text of `openapi.json`."""
    return json.dumps(document(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(render())
