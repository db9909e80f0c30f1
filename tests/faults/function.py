"""The trade function behind its API: events go in, and what API Gateway answers comes out.

Lambda gives each request its own execution environment, an idle or a new one. If it dies or takes
too long, the request fails, and the next request gets another environment.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.faults.environment import serve
from trading_client import Request, Response

_ROOT = Path(__file__).resolve().parents[2]
_EVENT = json.loads((_ROOT / "service" / "events" / "post_trade.json").read_text())
_IDENTITY = {
    "accountId": "111122223333",
    "caller": "AROADESK:session",
    "userArn": "arn:aws:sts::111122223333:assumed-role/desk/session",
}
# The function has a second more than API Gateway waits.
_FUNCTION_SECONDS = 30
_GATEWAY_SECONDS = 29
# How far the clocks of execution environments are ahead, in turn.
_CLOCK_SECONDS = (0, 3)


@dataclass(frozen=True)
class Doom:
    """What happens to an execution environment some seconds into a request.

    It is killed. With a `timeout`, it first hangs that long, and then Lambda kills it.
    """

    after: float
    timeout: float | None = None


class Function:
    """The function's execution environments; requests may come from many threads."""

    def __init__(self, log: Path) -> None:
        self._log = log
        # New processes are copies of one that has loaded the code, as with SnapStart.
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["tests.faults.environment", "trading.api", "boto3"])
        self._lock = threading.Lock()
        self._idle: list[_Environment] = []
        self._all: set[_Environment] = set()
        self._made = 0
        self._dooms: deque[Doom] = deque()
        self.defects: list[str] = []

    def stop(self) -> None:
        """End all execution environments."""
        with self._lock:
            for environment in self._all:
                environment.process.kill()
            self._idle.clear()
            self._all.clear()

    def renew(self) -> None:
        """Give later requests new execution environments, as a release does."""
        with self._lock:
            for environment in self._idle:
                environment.process.kill()
            self._all -= set(self._idle)
            self._idle.clear()

    def doom(self, dooms: Sequence[Doom]) -> None:
        """End the execution environments of the next requests in these ways."""
        self._dooms.extend(dooms)

    @property
    def is_doomed(self) -> bool:
        """Whether some of these ends are still to come."""
        return bool(self._dooms)

    def send(self, request: Request) -> Response:
        """Send a request to the API. There is always an answer."""
        url = urlsplit(request.path)
        event = {
            **_EVENT,
            "httpMethod": request.method,
            "path": url.path,
            "headers": dict(request.headers),
            "multiValueHeaders": {name: [value] for name, value in request.headers.items()},
            "multiValueQueryStringParameters": parse_qs(url.query) or None,
            "requestContext": {**_EVENT["requestContext"], "identity": _IDENTITY},
            "body": request.body.decode() or None,
        }
        environment = self._take()
        doom = self._next_doom()
        try:
            answer = environment.answer(event, doom)
        except TimeoutError:
            status = HTTPStatus.GATEWAY_TIMEOUT
        except (EOFError, OSError):
            # https://docs.aws.amazon.com/apigateway/latest/developerguide/handle-errors-in-lambda-integration.html
            status = HTTPStatus.BAD_GATEWAY
            if doom is None:
                self.defects.append("an execution environment died on its own")
        else:
            if doom is None:
                with self._lock:
                    self._idle.append(environment)
            else:
                self._discard(environment)
            names = {n.lower(): values[0] for n, values in answer["multiValueHeaders"].items()}
            return Response(answer["statusCode"], names, answer["body"].encode())
        self._discard(environment)
        return Response(status, {}, b"")

    def _take(self) -> _Environment:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            clock_ahead_seconds = _CLOCK_SECONDS[self._made % len(_CLOCK_SECONDS)]
            self._made += 1
            environment = _Environment(self._processes, self._log, clock_ahead_seconds)
            self._all.add(environment)
            return environment

    def _discard(self, environment: _Environment) -> None:
        environment.process.kill()
        with self._lock:
            self._all.discard(environment)

    def _next_doom(self) -> Doom | None:
        try:
            return self._dooms.popleft()
        except IndexError:
            return None


class _Environment:
    """One execution environment, and the pipe that leads to it."""

    def __init__(
        self,
        processes: multiprocessing.context.ForkServerContext,
        log: Path,
        clock_ahead_seconds: float,
    ) -> None:
        self._pipe, theirs = processes.Pipe()
        self.process = processes.Process(
            target=serve, args=(theirs, log, _FUNCTION_SECONDS, clock_ahead_seconds), daemon=True
        )
        self.process.start()
        theirs.close()

    def answer(self, event: dict[str, Any], doom: Doom | None) -> dict[str, Any]:
        """The function's answer to an event.

        Raises:
            EOFError, OSError: the process died.
            TimeoutError: there was no answer in time.
        """
        self._pipe.send(event)
        patience: float = _GATEWAY_SECONDS
        if doom is not None:
            time.sleep(doom.after)
            pid = self.process.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL if doom.timeout is None else signal.SIGSTOP)
            patience = doom.timeout or patience
        if not self._pipe.poll(patience):
            raise TimeoutError
        answer: dict[str, Any] = self._pipe.recv()
        return answer
