"""The little HTTP that the runtime interface and the AWS APIs here need, on a socket.

The standard library's server takes half a millisecond per request: most of what is measured.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass


class Closed(Exception):
    """The client has closed the connection."""


@dataclass(frozen=True)
class Request:
    """A request; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """A connection that delivers one request after the other."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def read(self) -> Request:
        """The next request.

        Raises:
            Closed: the client has closed the connection.
        """
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        if headers.get("expect") == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length", "0"))
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        method, path, _ = first.split()
        return Request(method, path, headers, body)

    def answer(self, status: str, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Answer the last request; `status` is text such as `200 OK`."""
        lines = [
            f"HTTP/1.1 {status}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
            f"Content-Length: {len(body)}\r\n\r\n",
        ]
        self._socket.sendall("\r\n".join(lines).encode() + body)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive(self) -> None:
        try:
            received = self._socket.recv(65536)
        except ConnectionError:
            received = b""
        if not received:
            raise Closed
        self._received += received
