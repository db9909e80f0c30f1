"""The part of Secrets Manager that the service calls; it checks who signs a request."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.database_server import TLSFiles

KEYS_PATH = "/role-keys"


@dataclass
class SecretsManager:
    """Returns `answers` in turn, each a status and a body, and records the requests."""

    url: str
    answers: list[tuple[int, bytes]]
    requests: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)


@contextmanager
def secrets_manager(
    *answers: tuple[int, object], tls: TLSFiles | None = None
) -> Iterator[SecretsManager]:
    """A server that returns these answers; with certificate files, over TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.requests.append(
                ({k.lower(): v for k, v in self.headers.items()}, json.loads(body))
            )
            self._answer(*found.answers.pop(0))

        def do_GET(self) -> None:
            allowed = self.path == KEYS_PATH and self.headers["authorization"] == "container-token"
            self._answer(200 if allowed else 403, json.dumps(found.keys).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.certificate, tls.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        found = SecretsManager(
            f"{scheme}://127.0.0.1:{server.server_port}",
            [
                (status, a if isinstance(a, bytes) else json.dumps(a).encode())
                for status, a in answers
            ],
        )
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield found
        server.shutdown()


def _bytes(answer: object) -> bytes:
    return answer if isinstance(answer, bytes) else json.dumps(answer).encode()
