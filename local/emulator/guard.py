"""Keeps web pages, other users and other platforms' commands away from the emulator.

The emulator takes requests without a signature, and deployed code runs as the user who started it.
A web page in that user's browser could send it such requests, read the answers of a permissive
server, or reach it under a name of its own that resolves to this machine (DNS rebinding). Another
user of the machine could connect to its port. A shell with the variables of one platform could
change another one that now listens on the same port.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.emulator.installation import IDENTITY_PATH, IDENTITY_PREFIX, Installation
from local.processes import is_own_connection, kernel_knows_users

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

# https://www.w3.org/TR/fetch-metadata/: `none` is an address that the user typed.
_OWN_SITES = {"same-origin", "none"}
# A deployed API, which has a page that calls it.
_API = re.compile(r"/restapis/[^/]+/[^/]+/_user_request_/")
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_IDENTITY = re.compile(rf"{IDENTITY_PREFIX}[0-9a-f]+")


def guarded(application: Application, installation: Installation) -> Application:
    """The application behind the guard, which also answers which platform this is."""

    async def guard(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await application(scope, receive, send)
        elif reason := _refusal(scope, installation):
            await _refuse(scope, receive, send, reason)
        elif scope["path"] == IDENTITY_PATH:
            whose = {"folder": str(installation.folder), "pid": os.getpid()}
            await _answer(send, HTTPStatus.OK, whose)
        else:
            await application(scope, receive, _without_cross_origin_headers(send))

    return guard


def _headers(scope: Message) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return headers


def _refusal(scope: Message, installation: Installation) -> str:
    """Why a request is refused; empty if it is accepted.

    Not even a page of the emulator's own origin reaches AWS here. Another user could have served
    it, on the same port before the emulator had it.
    """
    headers = _headers(scope)
    by_browser = bool(headers.keys() & {"origin", "sec-fetch-site"})
    hosts = headers.get("host", [])
    if len(hosts) != 1 or not _is_this_machine(hosts[0], by_browser=by_browser):
        return f"Host {', '.join(hosts)!r}: use {installation.url}"
    for origin in headers.get("origin", []):
        if origin != f"http://{hosts[0]}":
            return f"a page of {origin!r} may not call the emulator"
    for site in headers.get("sec-fetch-site", []):
        if site not in _OWN_SITES:
            return "pages of other sites may not lead to the emulator: type its address instead"
    if by_browser and not _API.match(scope["path"]):
        return "a browser reaches deployed APIs alone: use the AWS CLI or an SDK for the rest"
    for agent in headers.get("user-agent", []):
        for identity in _IDENTITY.findall(agent):
            if identity != installation.identity:
                return (
                    f"this is the platform of {installation.folder}, and the variables of this "
                    'shell are for another one: run `make up` and `eval "$(make local-env)"` again'
                )
    return _unsigned_action(headers, scope["query_string"])


def _unsigned_action(headers: dict[str, list[str]], query: bytes) -> str:
    """Why an address that names an action of AWS is refused; empty if it names none.

    A page can redirect to such an address, and not every browser says that it sends a request. But
    no page makes a browser send the header of a signature without asking the server first.
    """
    signatures = headers.get("authorization", [])
    if any(signature.startswith("AWS4-HMAC-SHA256 ") for signature in signatures):
        return ""
    if "Action" in parse_qs(query.decode("latin-1"), keep_blank_values=True):
        return "an address that names an action needs a signature: use the AWS CLI or an SDK"
    return ""


def _is_this_machine(host: str, *, by_browser: bool) -> bool:
    """Whether a Host header is `localhost` or an address of this machine or of a container network.

    A foreign page needs another name. For a browser, `localhost` stands for `::1` first: another
    user may listen there and serve a page, which stays when the server is gone. Browsers say which
    page a request comes from only if they take its address for this machine. They do not do so for
    `0.0.0.0` and for IPv4 addresses inside IPv6 ones, which lead here as well.
    https://www.w3.org/TR/secure-contexts/#is-origin-trustworthy
    """
    try:
        address = ipaddress.ip_address(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return not by_browser and re.fullmatch(r"localhost(:[0-9]+)?", host) is not None
    if address in _THIS_NETWORK or getattr(address, "ipv4_mapped", None):
        return False
    return not address.is_unspecified


def _without_cross_origin_headers(send: Send) -> Send:
    async def stripped(message: Message) -> None:
        if "headers" in message:
            message["headers"] = [
                (name, value)
                for name, value in message["headers"]
                if not name.lower().startswith(b"access-control-")
            ]
        await send(message)

    return stripped


class OwnListener(socket.socket):
    """A listening socket that turns connections of other users of this machine away.

    It asks the kernel whose a connection is before anything is read from it. Later, another user
    could have reset it, and one of the developer's programs could have got its port.
    """

    def __init__(self, listening: socket.socket) -> None:
        """Take the place of a socket, which is closed."""
        super().__init__(fileno=listening.detach())
        self._knows_users = kernel_knows_users()

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection. Raises ConnectionAbortedError if it is another user's."""
        connection, address = super().accept()
        if self._knows_users and not is_own_connection(connection):
            with connection, suppress(OSError):
                connection.send(_NOT_OWN)
            raise ConnectionAbortedError
        return connection, address


async def _refuse(scope: Message, receive: Receive, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    await _answer(send, HTTPStatus.FORBIDDEN, _denied(reason))


async def _answer(send: Send, status: HTTPStatus, document: dict[str, Any]) -> None:
    body = json.dumps(document).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status.value,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


def _denied(reason: str) -> dict[str, Any]:
    # Both spellings: AWS's protocols do not agree on one.
    return {"__type": "AccessDeniedException", "message": reason, "Message": reason}


_NOT_OWN_BODY = json.dumps(_denied("only the user who started the emulator may call it"))
_NOT_OWN = (
    "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nConnection: close\r\n"
    f"Content-Length: {len(_NOT_OWN_BODY)}\r\n\r\n{_NOT_OWN_BODY}"
).encode()
