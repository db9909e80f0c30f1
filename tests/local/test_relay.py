"""Whom the relay of `make start-api` connects containers to."""

import asyncio
import ipaddress
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from local.start_api import Network, start_relay

# Linux has all of these addresses. This machine's programs use 127.0.0.1, as a container would.
NETWORK = Network("relayed", "127.0.0.3", ipaddress.ip_network("127.0.0.0/8"))
OTHER = "127.0.0.9"


def serving(name: bytes) -> Callable[[Any, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
    async def serve(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(name)
        writer.close()

    return serve


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has all of these addresses")
def test_another_user_who_listens_where_localhost_leads_first_is_not_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The address in the place of `::1`, which not each machine has."""
    resolve = socket.getaddrinfo

    def resolved(host: Any, *arguments: Any, **more: Any) -> Any:
        return resolve(OTHER if host == "localhost" else host, *arguments, **more)

    async def relayed() -> bytes:
        own = await asyncio.start_server(serving(b"own"), "127.0.0.1", 0)
        port = own.sockets[0].getsockname()[1]
        async with own, await asyncio.start_server(serving(b"other"), OTHER, port):
            await start_relay(NETWORK, port)
            reader, writer = await asyncio.open_connection(NETWORK.gateway, port)
            said = await reader.read()
            writer.close()
        return said

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    assert asyncio.run(relayed()) == b"own"
