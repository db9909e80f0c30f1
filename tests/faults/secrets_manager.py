"""Secrets Manager with one secret, which can be rotated, and which can be too busy to answer.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets.html
"""

from __future__ import annotations

import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self

from local.own_server import OwnHTTPServer
from trading.secret import CURRENT, PENDING

SECRET_ARN = "arn:aws:secretsmanager:us-east-1:000000000000:secret:app"


class SecretsManager:
    """Answers `GetSecretValue` and `PutSecretValue` over HTTP."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self.is_throttling = False
        self._server = OwnHTTPServer(_handler(self))
        self.url = self._server.url
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def value(self) -> dict[str, str]:
        """What the secret's current version holds."""
        value: dict[str, str] = json.loads(self._values[CURRENT])
        return value

    def put(self, value: dict[str, str], stage: str) -> None:
        """Make a new version of the secret."""
        self._values[stage] = json.dumps(value)

    def finish_rotation(self) -> None:
        """Make the pending version the current one."""
        self._values[CURRENT] = self._values.pop(PENDING)

    def answer(self, action: str, request: dict[str, Any]) -> tuple[HTTPStatus, dict[str, Any]]:
        """Carry out one request."""
        if self.is_throttling:
            return _error("ThrottlingException", "Rate exceeded")
        if action == "PutSecretValue":
            self._values[CURRENT] = request["SecretString"]
        stage = request.get("VersionStage", CURRENT)
        if stage not in self._values:
            return _error("ResourceNotFoundException", "Secrets Manager can't find the value.")
        return HTTPStatus.OK, {"ARN": SECRET_ARN, "SecretString": self._values[stage]}


def _error(code: str, message: str) -> tuple[HTTPStatus, dict[str, Any]]:
    return HTTPStatus.BAD_REQUEST, {"__type": code, "message": message}


def _handler(secrets: SecretsManager) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            action = self.headers["X-Amz-Target"].rpartition(".")[2]
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, document = secrets.answer(action, request)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler
