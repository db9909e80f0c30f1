"""Books trades through a deployed API as fast as it answers, and reports: `make load URL=…`.

The project's client books each trade under a key of its own. At the end, acknowledged trades are
looked up. If the API requires signed requests, they are signed with the environment's credentials.
"""

from __future__ import annotations

# Import locust first: it patches what the others import.
from locust import HttpUser, task
from locust.env import Environment

# isort: split
import json
import os
import random
import sys
import uuid
from collections import Counter

import gevent
import requests

from trading_client import (
    ApiError,
    Client,
    HttpTransport,
    NoAnswer,
    NoCredentials,
    Request,
    Response,
    Signer,
    Unavailable,
)

_MOST_CHECKED = 2_000
_TIMEOUT_SECONDS = 30
_PATIENCE_SECONDS = 30

acknowledged: dict[str, str] = {}
given_up: list[str] = []
codes: Counter[str] = Counter()


class Trader(HttpUser):
    """Books one trade after the other, without a pause."""

    signer: Signer | None = None

    def on_start(self) -> None:
        """Give this user a client of the API."""
        self.api = Client(
            self.host, transport=self._carry, sign=False, patience_seconds=_PATIENCE_SECONDS
        )

    @task
    def book(self) -> None:
        """Book a trade, and retry until the outcome is known."""
        key = f"load:{uuid.uuid4()}"
        symbol = random.choice(("AAPL", "MSFT", "BRK.B"))  # noqa: S311
        try:
            booked = self.api.book({"symbol": symbol, "quantity": 1}, key=key)
        except (ApiError, Unavailable):
            given_up.append(key)
        else:
            acknowledged[key] = booked["trade_id"]

    def _carry(self, request: Request) -> Response:
        """Send a request through locust, which measures it."""
        headers = dict(request.headers)
        if self.signer:
            url = self.host + request.path
            headers |= self.signer.headers(request.method, url, request.body)
        with self.client.request(
            request.method,
            request.path,
            data=request.body,
            headers=headers,
            timeout=_TIMEOUT_SECONDS,
            catch_response=True,
        ) as answer:
            if answer.status_code != requests.codes.ok:
                codes[f"{answer.status_code} {_code(answer)}"] += 1
                answer.failure(str(answer.status_code))
        if answer.status_code == 0:  # what locust makes of a request without an answer
            raise NoAnswer(str(answer.error))
        names = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, names, answer.content)


def _code(answer: requests.Response) -> str:
    try:
        return str(json.loads(answer.content)["code"])
    except (ValueError, KeyError, TypeError):
        return "(no problem document)"


def run(url: str, users: int, seconds: float, most_errors: float) -> bool:
    """Load the API and print the report. Return whether it lost no trade and failed rarely."""
    Trader.signer = _signer(url)
    api = Client(url, transport=HttpTransport(url, signer=Trader.signer))
    # Users wait for their last answer, so that every booked trade is counted.
    environment = Environment(user_classes=[Trader], host=url, stop_timeout=_TIMEOUT_SECONDS)
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=users)
    gevent.spawn_later(seconds, runner.quit)
    runner.greenlet.join()

    total = environment.stats.total
    errors = total.num_failures / max(total.num_requests, 1)
    checked = dict(
        random.sample(sorted(acknowledged.items()), min(len(acknowledged), _MOST_CHECKED))
    )
    lost = [key for key, trade_id in checked.items() if _booked(api, key) != trade_id]
    percentiles = [total.get_response_time_percentile(p) for p in (0.5, 0.95, 0.99)]
    print(f"{users} users for {seconds:g} s against {url}")
    print(f"  requests     {total.num_requests}, {total.num_requests / seconds:.1f} per second")
    print("  milliseconds p50 {:.0f}, p95 {:.0f}, p99 {:.0f}".format(*percentiles))
    print(f"  failures     {errors:.2%}{''.join(f'; {n} x {code}' for code, n in codes.items())}")
    print(f"  trades       {len(acknowledged)} acknowledged, {len(given_up)} given up")
    print(f"  looked up    {len(checked)} of them, {len(lost)} not booked as acknowledged")
    return bool(acknowledged) and not lost and errors <= most_errors


def _signer(url: str) -> Signer | None:
    """What signs requests, if the API requires signed ones.

    Raises:
        SystemExit: the API does not answer as a trade API.
    """
    try:
        Client(url, sign=False, patience_seconds=0).health()
        return None
    except Unavailable as error:
        raise SystemExit(f"error: {url} does not answer: {error}") from None
    except ApiError as error:
        if error.status != requests.codes.forbidden:
            raise SystemExit(f"error: {url}/health: {error}") from None
    try:
        return Signer(url)
    except NoCredentials as error:
        raise SystemExit(f"error: {error}") from None


def _booked(api: Client, key: str) -> str | None:
    try:
        return api.find_trade(client_order_id=key, consistent=True)["trade_id"]
    except ApiError:
        return None


def main() -> int:
    """Read `URL`, `USERS` (10), `SECONDS` (30) and `MOST_ERRORS` (a fraction; 0.01)."""
    url = os.environ.get("URL", "").rstrip("/").removesuffix("/trade")
    if not url:
        raise SystemExit(
            "error: URL is missing: give the one that `make status` prints, as in `make load URL=…`"
        )
    try:
        users = int(os.environ.get("USERS") or 10)
        seconds = float(os.environ.get("SECONDS") or 30)
        most_errors = float(os.environ.get("MOST_ERRORS") or 0.01)
        return 0 if run(url, users, seconds, most_errors) else 1
    except ValueError as error:
        raise SystemExit(f"error: USERS, SECONDS and MOST_ERRORS are numbers: {error}") from None
    except (ApiError, Unavailable) as error:
        raise SystemExit(f"error: {url}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
