"""An HTTP server for the programs of one user of this machine."""

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.processes import is_own_connection, kernel_knows_users


class OwnHTTPServer(ThreadingHTTPServer):
    """Listens at 127.0.0.1, and closes connections of other users before it reads from them.

    Where the kernel does not say whose a connection is, as on macOS, it serves everybody.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        """Listen on a free port."""
        self._knows_users = kernel_knows_users()
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_port}"

    def verify_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any
    ) -> bool:
        """Whether a connection is this user's."""
        return not self._knows_users or (
            isinstance(request, socket.socket) and is_own_connection(request)
        )
