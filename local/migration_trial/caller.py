"""Calls one version of the trade function without a pause, as its only execution environment.

Run as a script, with the version's `service/src` in PYTHONPATH. Half of the bookings repeat an
earlier key. It prints a line for each request: when it was answered (monotonic seconds), what it
was, and its status; 0 for an answer that is wrong. It ends when its input ends.
"""

import json
import os
import random
import sys
import threading
import time
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_REQUEST_SECONDS = 30
_PAUSE_SECONDS = 0.004
_OK = 200
_KEPT = 200
# Of 100 requests, how many are not bookings.
_SHARES = {"find": 10, "list": 5, "void": 3}


class _Caller:
    def __init__(self, handler: Any, event: dict[str, Any]) -> None:
        self._handler = handler
        self._event = event
        self._booked: dict[str, str] = {}

    def turn(self) -> tuple[str, int]:
        """Send one request. Return what it was, and its status."""
        chance = random.random() * 100  # noqa: S311 - keeps no secret
        for kind, share in _SHARES.items():
            if chance < share and self._booked:
                return kind, self._other(kind)
            chance -= share
        return self._book()

    def _book(self) -> tuple[str, int]:
        known = list(self._booked)
        is_replay = bool(known) and random.choice((True, False))  # noqa: S311
        key = random.choice(known) if is_replay else str(uuid.uuid4())  # noqa: S311
        status, document = self._send("POST", "/trade", key=key)
        if status == _OK:
            if self._booked.setdefault(key, document["trade_id"]) != document["trade_id"]:
                status = 0
            if len(self._booked) > _KEPT:
                del self._booked[known[0]]
        return "replay" if is_replay else "book", status

    def _other(self, kind: str) -> int:
        if kind == "list":
            return self._send("GET", "/trades")[0]
        trade_id = random.choice(list(self._booked.values()))  # noqa: S311
        return self._send("DELETE" if kind == "void" else "GET", f"/trade/{trade_id}")[0]

    def _send(self, method: str, path: str, key: str = "") -> tuple[int, dict[str, Any]]:
        event = json.loads(json.dumps(self._event))
        event |= {"httpMethod": method, "path": path}
        if not key:
            event |= {"body": None, "headers": {}, "multiValueHeaders": {}}
        else:
            event["headers"]["Idempotency-Key"] = key
            event["multiValueHeaders"]["Idempotency-Key"] = [key]
        ends_at = time.monotonic() + _REQUEST_SECONDS
        context = SimpleNamespace(
            function_name="trade",
            memory_limit_in_mb=512,
            invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:trade",
            aws_request_id=str(uuid.uuid4()),
            get_remaining_time_in_millis=lambda: int((ends_at - time.monotonic()) * 1000),
        )
        answer = self._handler(event, context)
        return answer["statusCode"], json.loads(answer["body"])


def main() -> None:
    """Call until the input ends."""
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    # The function logs to the standard output.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    from trading import api

    caller = _Caller(api.handler, json.loads(Path(sys.argv[1]).read_text()))
    ended = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    while not ended.is_set():
        kind, status = caller.turn()
        print(f"{time.monotonic():.4f} {kind} {status}", file=told)
        time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    main()
