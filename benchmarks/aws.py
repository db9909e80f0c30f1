"""AWS APIs that answer immediately: Secrets Manager, S3, and DynamoDB for a peer that uses it.

The benchmarks measure a contender's own time. On AWS, each call adds some milliseconds.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping

from benchmarks.http import Closed, Connection

# A multipart upload starts and ends with a POST; each part is a PUT.
_S3_ANSWERS = {"POST": b"<Result><UploadId>1</UploadId><ETag>1</ETag></Result>"}
_S3_HEADERS = {"ETag": '"1"'}


class Aws:
    """An endpoint on this machine with one secret. It stores nothing."""

    def __init__(self, secret: Mapping[str, str]) -> None:
        self._secret = json.dumps({"SecretString": json.dumps(secret)}).encode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """The value for `AWS_ENDPOINT_URL`."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            connected, _ = self._listener.accept()
            threading.Thread(target=self._answer, args=[Connection(connected)], daemon=True).start()

    def _answer(self, connection: Connection) -> None:
        try:
            while True:
                request = connection.read()
                target = request.headers.get("x-amz-target")
                if target is None:
                    connection.answer("200 OK", _S3_ANSWERS.get(request.method, b""), _S3_HEADERS)
                else:
                    is_secret = target == "secretsmanager.GetSecretValue"
                    connection.answer("200 OK", self._secret if is_secret else b"{}")
        except Closed:
            connection.close()
