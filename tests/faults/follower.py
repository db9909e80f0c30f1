"""A follower of the book: it polls the feed as docs/reference/api.md says, through all faults."""

from __future__ import annotations

import math
import random
import threading
import time
from http import HTTPStatus

from tests.faults.function import Function
from trading_client import ApiError, Client, Request, Response

_PAUSE_SECONDS = 0.1
_MOST_EVENTS = 200

Seen = tuple[str, str]
"""What happened, and the ID of the trade that it happened to."""


class Follower:
    """Polls the feed all the time, sometimes from a reader and sometimes from the writer."""

    def __init__(self, function: Function, seed: int) -> None:
        self._function = function
        self._api = Client("", transport=self._carry, patience_seconds=math.inf)
        self._random = random.Random(f"{seed} follower")
        self._cursor: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: list[Seen] = []
        self.problems: list[str] = []

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                if not self._poll():
                    time.sleep(self._random.uniform(0, 2 * _PAUSE_SECONDS))
        except _Ended:
            pass
        except Exception as error:
            self.problems.append(f"the follower ended with {error!r}")
            raise

    def _carry(self, request: Request) -> Response:
        """Send a request once. At the end, an answer that would be asked for again ends all."""
        response = self._function.send(request)
        if self._ended.is_set() and response.status != HTTPStatus.OK:
            raise _Ended
        return response

    def _poll(self) -> bool:
        """Ask once, and keep what is new. Return whether there was anything."""
        try:
            page = self._api.list_events(
                cursor=self._cursor,
                limit=self._random.randint(1, _MOST_EVENTS),
                consistent=self._random.random() < 0.5,
            )
        except ApiError as error:
            # A read that took too long may be repeated.
            if error.code != "READ_TIMED_OUT":
                self.problems.append(f"GET /events: {error}")
            return False
        self._cursor = page["next_cursor"]
        self.seen += [(event["kind"], event["trade"]["trade_id"]) for event in page["events"]]
        return bool(page["events"])


class _Ended(Exception):
    """The follower is told to end while no server answers."""
