"""Sends requests until their outcome is known, as docs/reference/api.md says."""

import json
import random
import time
import uuid
from collections.abc import Mapping
from typing import Any, TypeGuard, cast
from urllib.parse import quote, urlencode

from trading_client.messages import NoAnswer, Request, Response, Transport
from trading_client.operations import BookedTrade, Operations, Order, ReplayedTrade
from trading_client.transport import HttpTransport, Signer

_KEY_HEADER = "Idempotency-Key"
_KEY_FIELD = "client_order_id"
# The outcome is unknown, or nothing was done because there was too much to do.
_REPEATED = {429, 500, 502, 503, 504}
# The same request would take as long again.
_FINAL_CODES = {"READ_TIMED_OUT"}
_OK = 200

_PATIENCE_SECONDS = 90.0
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0


class ApiError(Exception):
    """The API refused a request, and would refuse it again.

    `code` and `detail` are those of the problem document, and `status` is the HTTP status. An
    answer that is no problem document has an empty code. `retry_after` is in seconds. `problem` is
    the whole document: that of a refused batch says what is wrong with each trade.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float = 0) -> None:
        self.status = status
        self.problem = problem
        self.retry_after = retry_after
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail", ""))
        self.request_id = str(problem.get("request_id", ""))
        super().__init__(f"{status} {self.code}: {self.detail} (request {self.request_id})")

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in _REPEATED and self.code not in _FINAL_CODES


class Unavailable(Exception):
    """The API gave no final answer in time. The cause is the last failure.

    A trade may have been booked: the same request with the same `key` finds out, at any later time.
    """

    def __init__(self, key: str, last: str) -> None:
        self.key = key
        super().__init__(f"no final answer{f' for the key {key}' if key else ''}; the last: {last}")


class Client(Operations):
    """The trade API. Its methods send each request until its outcome is known.

    Each trade has a key: the caller's, or a new one. So it is booked once, however often the
    request is sent. Threads may share a client.
    """

    def __init__(
        self,
        url: str,
        *,
        sign: bool = True,
        transport: Transport | None = None,
        patience_seconds: float = _PATIENCE_SECONDS,
        randomness: random.Random | None = None,
    ) -> None:
        """A client of the API at `url`, such as `https://….amazonaws.com/dev`; `/trade` may follow.

        `sign` signs requests with the credentials that AWS tools find. `patience_seconds` is how
        long a request is repeated. `transport` and `randomness` replace HTTP and the length of
        pauses.

        Raises:
            NoCredentials: requests are to be signed, and there are no credentials.
        """
        url = url.rstrip("/").removesuffix("/trade")
        self._transport = transport or HttpTransport(url, signer=Signer(url) if sign else None)
        self._patience_seconds = patience_seconds
        self._random = randomness or random.Random()  # noqa: S311

    def book(self, order: Order, *, key: str | None = None) -> BookedTrade | ReplayedTrade:
        """Book a trade, once for each key of the caller's. Without a key, it gets a new one.

        Raises:
            ApiError: the API refused it.
            Unavailable: there was no final answer in time.
            ValueError: the order has `validate_only`, which books nothing: use `post_trade`.
        """
        if order.get("validate_only"):
            raise ValueError("an order with validate_only books nothing: use post_trade")
        answer = self.post_trade(order, idempotency_key=key)
        return cast("BookedTrade | ReplayedTrade", answer)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: object = None,
    ) -> Any:
        """Send a request, and repeat it until its outcome is known. Return the answer's document.

        Raises:
            ApiError: the API refused it.
            Unavailable: there was no final answer in time.
        """
        request, key = _request(method, path, query or {}, headers or {}, body)
        deadline = time.monotonic() + self._patience_seconds
        longest = _FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._send(request)
            except (ApiError, NoAnswer) as error:
                at_least = 0.0
                if isinstance(error, ApiError):
                    if not error.may_pass:
                        raise
                    at_least = error.retry_after
                pause = at_least + self._random.uniform(0, longest)
                if time.monotonic() + pause > deadline:
                    raise Unavailable(key, str(error)) from error
            time.sleep(pause)
            longest = min(2 * longest, _LONGEST_PAUSE_SECONDS)

    def _send(self, request: Request) -> Any:
        response = self._transport(request)
        if response.status != _OK:
            raise ApiError(response.status, _problem(response), _retry_after(response))
        return json.loads(response.body)


def is_replay(answer: BookedTrade | ReplayedTrade) -> TypeGuard[ReplayedTrade]:
    """Whether an earlier request with the same key had booked the trade."""
    return "principal" in answer


def _request(
    method: str,
    path: str,
    query: Mapping[str, Any],
    headers: Mapping[str, str | None],
    body: object,
) -> tuple[Request, str]:
    """The request, and the key of the trade that it is about, if any."""
    given = {name: value for name, value in headers.items() if value is not None}
    key = given.get(_KEY_HEADER, "")
    if isinstance(body, dict) and not key:
        key = str(body.get(_KEY_FIELD, ""))
    if _KEY_HEADER in headers and not key:
        key = given[_KEY_HEADER] = uuid.uuid4().hex
    # Signature Version 4 signs the query in this form: sorted, and a space as %20.
    pairs = sorted((name, _text(value)) for name, value in query.items() if value is not None)
    path += f"?{urlencode(pairs, quote_via=quote, safe='')}" if pairs else ""
    content = b"" if body is None else json.dumps(body).encode()
    if content:
        given["Content-Type"] = "application/json"
    return Request(method, path, given, content), key


def _text(value: object) -> str:
    """A query parameter as the API reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problem(response: Response) -> Mapping[str, Any]:
    try:
        document = json.loads(response.body)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document
    return {"detail": response.body.decode(errors="replace")[:200]}


def _retry_after(response: Response) -> float:
    """The seconds that the API asks to wait."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0
