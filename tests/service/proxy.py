"""A TCP proxy that cuts a connection at a chosen moment."""

import socket
import threading
from types import TracebackType
from typing import Self


class CuttingProxy:
    """Forwards to a port on this machine; `cut_answer_to` loses the next answer to a statement."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._marker: bytes | None = None
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

    def cut_answer_to(self, marker: bytes) -> None:
        """Deliver the next statement that contains `marker`, but cut instead of the answer."""
        self._marker = marker

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
                if is_client and self._marker is not None and self._marker in data:
                    self._marker = None
                    doomed.set()
                if not is_client and doomed.is_set():
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
