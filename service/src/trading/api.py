"""The HTTP API: parse, call, answer."""

import base64
import binascii
import functools
import json
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from trading.database import connect
from trading.errors import InvalidTrade, TradingError
from trading.secret import fetch_credentials
from trading.settings import Settings, load_settings
from trading.store import TradeStore
from trading.telemetry import logger
from trading.trades import book_trade, parse_order

_RETRY_AFTER_SECONDS = "1"

app = APIGatewayRestResolver()


@functools.cache
def settings() -> Settings:
    """The settings of this execution environment."""
    return load_settings()


@functools.cache
def store() -> TradeStore:
    """The trade store of this execution environment; it connects at first use."""
    place = settings()
    return TradeStore(
        lambda: connect(
            host=place.writer_endpoint,
            port=place.port,
            database=place.database,
            credentials=fetch_credentials(place.app_secret_arn),
        )
    )


@app.post("/trade")
def post_trade() -> Response[str]:
    """Book a trade."""
    order = parse_order(_body())
    trade = book_trade(order, store())
    logger.info("trade booked", trade_id=trade.trade_id)
    answer = {
        "trade_id": trade.trade_id,
        "symbol": trade.symbol,
        "quantity": trade.quantity,
        "status": trade.status,
        "region": settings().region,
        "environment": settings().environment,
        "db_endpoint": settings().writer_endpoint,
    }
    return Response(HTTPStatus.OK, "application/json", json.dumps(answer))


@app.exception_handler(TradingError)  # type: ignore[untyped-decorator]
def on_trading_error(error: TradingError) -> Response[str]:
    """Tell the caller what is wrong with the request, or that the database is away."""
    logger.warning("request failed", code=error.code, reason=str(error), exc_info=error.__cause__)
    return _problem(error.status, error.code, error.title, str(error))


@app.not_found
def on_not_found(_error: NotFoundError) -> Response[str]:
    """Tell the caller that there is no such route."""
    request = app.current_event
    return _problem(
        HTTPStatus.NOT_FOUND,
        "NOT_FOUND",
        "Not found",
        f"There is no {request.http_method} {request.path}.",
    )


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def on_unexpected_error(_error: Exception) -> Response[str]:
    """Hide the details of a defect from the caller; the log has them."""
    logger.exception("unexpected error")
    return _problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        TradingError.code,
        TradingError.title,
        "The service failed. The trade may or may not have been booked.",
    )


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway (REST API, Lambda proxy integration)."""
    return app.resolve(event, context)


def _body() -> bytes:
    body = app.current_event.body or ""
    if not app.current_event.is_base64_encoded:
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise InvalidTrade("The body is not valid base64.") from None


def _problem(status: int, code: str, title: str, detail: str) -> Response[str]:
    # https://www.rfc-editor.org/rfc/rfc9457
    document = {
        "type": "about:blank",
        "title": title,
        "status": int(status),
        "code": code,
        "detail": detail,
        "request_id": app.current_event.request_context.request_id,
    }
    headers: dict[str, str | list[str]] = {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = _RETRY_AFTER_SECONDS
    return Response(int(status), "application/problem+json", json.dumps(document), headers)
