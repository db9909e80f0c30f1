"""A database cluster's endpoint that tests can redirect and break.

It stands in for two things: Aurora's writer and reader endpoints, which a failover moves to other
servers, and the network in between. TLS passes through it unopened: it sees encrypted bytes, and
treats what a client sends next as a statement.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self, TypeVar

_HOST = "127.0.0.1"
_CHUNK_BYTES = 65536
# The greeting, TLS and the login, as they come at least.
_ANSWERS_OF_A_HANDSHAKE = 3
# After this, the one end of a connection that is left notices that there is no other.
_SILENCE_SECONDS = 30

T = TypeVar("T")


class Cut(Enum):
    """Where the client's next statement breaks the connection."""

    BEFORE = auto()  # nothing of the statement arrives
    WITHIN = auto()  # half of its bytes arrive
    BEFORE_ANSWER = auto()  # it is carried out, and nothing of its answer arrives
    WITHIN_ANSWER = auto()  # it is carried out, and half of its answer's bytes arrive


class Endpoint:
    """Forwards connections to servers on this machine, in turn.

    Its event loop runs in its own thread; all methods may be called from any thread.
    """

    def __init__(self, host: str = _HOST, port: int = 0) -> None:
        self.host, self.port = host, port
        self._targets: Sequence[int] = ()
        self._turn = itertools.count()
        self._planned: deque[Cut] = deque()
        self._delay = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._await(asyncio.start_server(self._accept, self.host, self.port))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._await(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def lead_to(self, *ports: int) -> None:
        """Forward new connections to these ports; without ports, to nowhere."""
        self._targets = ports

    def cut(self) -> None:
        """Reset all connections, with everything in flight."""

        def reset() -> None:
            for link in self._links:
                link.reset()

        self._do(reset)

    def cut_next(self, *cuts: Cut) -> None:
        """Break one connection at each of the next statements, as these cuts say."""
        self._do(lambda: self._planned.extend(cuts))

    @property
    def has_cuts_left(self) -> bool:
        """Whether connections are still to be broken by `cut_next`."""
        return bool(self._planned)

    def delay(self, seconds: float) -> None:
        """Deliver everything later, in both directions."""
        self._delay = seconds

    def swallow(self) -> None:
        """Deliver nothing, not even a close; new connections get no answer."""
        self._do(self._open.clear)

    def deliver(self, *, late: bool) -> None:
        """Deliver again. Swallowed bytes come `late`, or their connections stay silent forever.

        An interrupted network delivers late; one whose other end is gone stays silent.
        """

        def again() -> None:
            if not late:
                for link in self._links:
                    link.is_silent = True
            self._open.set()

        self._do(again)

    def _do(self, action: Callable[[], object]) -> None:
        async def act() -> None:
            action()

        self._await(act())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result()

    async def _end(self) -> None:
        self._server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        try:
            await self._open.wait()
            targets = self._targets
            if not targets:
                return
            target = targets[next(self._turn) % len(targets)]
            answers, statements = await asyncio.open_connection(_HOST, target)
            link.server = statements
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forward_statements(reader, statements, link))
                group.create_task(self._forward_answers(answers, writer, link))
        except* (OSError, _Ended):
            pass
        finally:
            link.reset()
            self._links.discard(link)

    async def _forward_statements(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link
    ) -> None:
        while data := await _read(source):
            cut = self._planned.popleft() if self._planned and link.is_served else None
            await self._hold(link)
            if cut is Cut.BEFORE:
                break
            if cut is Cut.WITHIN:
                sink.write(data[: len(data) // 2])
                await sink.drain()
                break
            link.cut = cut
            sink.write(data)
            await sink.drain()
        await self._hold(link)
        raise _Ended

    async def _forward_answers(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, link: _Link
    ) -> None:
        while data := await _read(source):
            if link.cut is Cut.BEFORE_ANSWER:
                break
            await self._hold(link)
            if link.cut is Cut.WITHIN_ANSWER:
                sink.write(data[: len(data) // 2])
                await sink.drain()
                break
            sink.write(data)
            link.answers += 1
            await sink.drain()
        await self._hold(link)
        raise _Ended

    async def _hold(self, link: _Link) -> None:
        if self._delay:
            await asyncio.sleep(self._delay)
        await self._open.wait()
        if link.is_silent:
            await asyncio.sleep(_SILENCE_SECONDS)
            raise _Ended


async def _read(source: asyncio.StreamReader) -> bytes:
    try:
        return await source.read(_CHUNK_BYTES)
    except OSError:
        # An end that breaks off is an end.
        return b""


class _Ended(Exception):
    """One side of a connection ended, so end the other one."""


class _Link:
    """A client's connection, and its connection to a server."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.cut: Cut | None = None
        self.is_silent = False
        self.answers = 0

    @property
    def is_served(self) -> bool:
        """Whether the login is over, so that a client's bytes are a statement."""
        return self.answers > _ANSWERS_OF_A_HANDSHAKE

    def reset(self) -> None:
        for end in (self.client, self.server):
            if end is not None:
                end.transport.abort()
