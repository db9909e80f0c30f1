"""A TCP proxy that loses what it is told to lose."""

import socket
import threading
from types import TracebackType
from typing import Self


class CuttingProxy:
    """Forwards to a port on this machine until it is told to cut a connection.

    It sees encrypted bytes only: what it counts as a statement is the next thing that a client
    sends on a connection that is at rest.
    """

    def __init__(self, target_port: int, host: str = "127.0.0.1") -> None:
        self._target_port = target_port
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._lose_statement = False
        self._lose_answer = False
        self.cuts = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._listener.close()

    def lose_next_statement(self) -> None:
        """Cut the connection instead of delivering the next statement."""
        self._lose_statement = True

    def lose_next_answer(self) -> None:
        """Deliver the next statement, and cut the connection instead of its answer."""
        self._lose_answer = True

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target_port))
            doomed = threading.Event()
            for source, sink, is_client in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=self._pump, args=(source, sink, is_client, doomed), daemon=True
                ).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, is_client: bool, doomed: threading.Event
    ) -> None:
        try:
            while data := source.recv(65536):
                if is_client and self._lose_answer:
                    self._lose_answer = False
                    doomed.set()
                if (is_client and self._lose_statement) or (not is_client and doomed.is_set()):
                    self._lose_statement = False
                    self.cuts += 1
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
