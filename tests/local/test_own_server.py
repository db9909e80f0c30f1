"""Servers of tests and trials, which have passwords, are for the user who started them."""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from local import own_server
from local.own_server import OwnHTTPServer


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"password")

    def log_message(self, *_arguments: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[OwnHTTPServer]:
    with OwnHTTPServer(Answering) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def answer(server: OwnHTTPServer, user: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    os.seteuid(user)
    try:
        connection.connect()
    finally:
        os.seteuid(0)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    except ConnectionError:
        return b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_of_the_machine_gets_no_answer(server: OwnHTTPServer) -> None:
    assert answer(server, os.getuid()) == b"password"
    assert answer(server, 65534) == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_everybody_is_served_where_the_kernel_knows_no_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own_server, "kernel_knows_users", lambda: False)
    with OwnHTTPServer(Answering) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        assert answer(server, 65534) == b"password"
        server.shutdown()
