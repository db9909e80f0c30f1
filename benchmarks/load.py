"""Books trades through a deployed API as fast as it answers, and reports: `make load URL=…`.

Each trade has its own key, and is retried as the API says. At the end, acknowledged trades are
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
import time
import uuid
from collections import Counter
from urllib.parse import urlsplit

import gevent
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session

_ATTEMPTS = 6
_MOST_CHECKED = 2_000
_TIMEOUT_SECONDS = 30
# The outcome is unknown, or nothing was done: retry with the same key.
_REPEAT = (0, 429, 500, 502, 503, 504)


class Signer:
    """Signs requests for API Gateway with the credentials that AWS tools find."""

    def __init__(self, url: str) -> None:
        session = Session()
        # https://<api>.execute-api.<region>.amazonaws.com/<stage>
        _, _, named = (urlsplit(url).hostname or "").partition(".execute-api.")
        region = named.partition(".")[0] or session.get_config_variable("region") or "us-east-1"
        credentials = session.get_credentials()
        if credentials is None:
            raise SystemExit("error: the API requires signed requests: set AWS credentials")
        self._auth = SigV4Auth(credentials, "execute-api", region)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers of the signature."""
        signed = AWSRequest(request.method, request.url, {}, request.body or b"")
        self._auth.add_auth(signed)
        request.headers.update(dict(signed.headers))
        return request


acknowledged: dict[str, str] = {}
given_up: list[str] = []
codes: Counter[str] = Counter()


class Trader(HttpUser):
    """Books one trade after the other, without a pause."""

    @task
    def book(self) -> None:
        """Book a trade, and retry until the outcome is known."""
        key = f"load:{uuid.uuid4()}"
        order = json.dumps({"symbol": random.choice(("AAPL", "MSFT", "BRK.B")), "quantity": 1})  # noqa: S311
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        for attempt in range(_ATTEMPTS):
            with self.client.post(
                "/trade", order, headers=headers, timeout=_TIMEOUT_SECONDS, catch_response=True
            ) as answer:
                if answer.status_code == requests.codes.ok:
                    acknowledged[key] = answer.json()["trade_id"]
                    return
                codes[f"{answer.status_code} {_code(answer)}"] += 1
                answer.failure(str(answer.status_code))
            if answer.status_code not in _REPEAT:
                break
            pause = float((answer.headers or {}).get("Retry-After", 0.1))
            time.sleep(pause * random.uniform(1, 2**attempt))  # noqa: S311
        given_up.append(key)


def _code(answer: requests.Response) -> str:
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return "(no problem document)"


def run(url: str, users: int, seconds: float, most_errors: float) -> bool:
    """Load the API and print the report. Return whether it lost no trade and failed rarely."""
    session = requests.Session()
    health = session.get(f"{url}/health", timeout=_TIMEOUT_SECONDS)
    if health.status_code == requests.codes.forbidden:
        session.auth = Signer(url)
        health = session.get(f"{url}/health", timeout=_TIMEOUT_SECONDS)
    if not health.ok:
        raise SystemExit(f"error: {url}/health answers {health.status_code}: {health.text}")
    Trader.on_start = lambda self: setattr(self.client, "auth", session.auth)
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
    lost = [key for key, trade_id in checked.items() if _booked(session, url, key) != trade_id]
    percentiles = [total.get_response_time_percentile(p) for p in (0.5, 0.95, 0.99)]
    print(f"{users} users for {seconds:g} s against {url}")
    print(f"  requests     {total.num_requests}, {total.num_requests / seconds:.1f} per second")
    print("  milliseconds p50 {:.0f}, p95 {:.0f}, p99 {:.0f}".format(*percentiles))
    print(f"  failures     {errors:.2%}{''.join(f'; {n} x {code}' for code, n in codes.items())}")
    print(f"  trades       {len(acknowledged)} acknowledged, {len(given_up)} given up")
    print(f"  looked up    {len(checked)} of them, {len(lost)} not booked as acknowledged")
    return bool(acknowledged) and not lost and errors <= most_errors


def _booked(session: requests.Session, url: str, key: str) -> str | None:
    query = {"client_order_id": key, "consistent": "true"}
    answer = session.get(f"{url}/trade", params=query, timeout=_TIMEOUT_SECONDS)
    return answer.json()["trade_id"] if answer.ok else None


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
    except requests.RequestException as error:
        raise SystemExit(f"error: {url} does not answer: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
