"""AWS APIs that answer at once: Secrets Manager, and DynamoDB for the peers that use it.

What is measured is a contender's own time. On AWS, each call takes some milliseconds more.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping

from benchmarks.http import Closed, Connection


class Aws:
    """An endpoint on this machine, with one secret and a table that takes everything."""

    def __init__(self, secret: Mapping[str, str]) -> None:
        self._secret = json.dumps({"SecretString": json.dumps(secret)}).encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """What `AWS_ENDPOINT_URL` is to be."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            connected, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=[Connection(connected)], daemon=True).start()

    def _answer(self, connection: Connection) -> None:
        try:
            while True:
                target = connection.read().headers["x-amz-target"]
                body = self._secret if target == "secretsmanager.GetSecretValue" else b"{}"
                connection.answer("200 OK", body, {"Content-Type": "application/x-amz-json-1.1"})
        except Closed:
            connection.close()
