"""An endpoint of a database cluster, which leads to where it is told and loses what it is told to.

It stands in for two things: Aurora's writer and reader endpoints, which a failover moves to other
servers, and the network in between. TLS goes through it from end to end: it sees encrypted bytes,
and takes for a statement what a client sends next.
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
    """Where the connection breaks, seen from the next statement that a client sends."""

    BEFORE = auto()  # nothing of the statement arrives
    WITHIN = auto()  # half of its bytes arrive
    BEFORE_ANSWER = auto()  # it is carried out, and nothing of its answer arrives
    WITHIN_ANSWER = auto()  # it is carried out, and half of its answer's bytes arrive


class Endpoint:
    """Forwards connections to servers on this machine, to one after the other.

    Its event loop has a thread of its own; all methods may be called from any thread.
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
        """Take new connections to these servers' ports; without any, to nowhere."""
        self._targets = ports

    def cut(self) -> None:
        """Reset all connections, whatever is on its way."""

        def reset() -> None:
            for link in self._links:
                link.reset()

        self._do(reset)

    def cut_next(self, *cuts: Cut) -> None:
        """Break as many connections as their clients send their next statements, one each."""
        self._do(lambda: self._planned.extend(cuts))

    @property
    def has_cuts_left(self) -> bool:
        """Whether connections are still to be broken by `cut_next`."""
        return bool(self._planned)

    def delay(self, seconds: float) -> None:
        """Deliver everything later, in both directions."""
        self._delay = seconds

    def swallow(self) -> None:
        """Deliver nothing more, not even that an end is gone; new connections get no answer."""
        self._do(self._open.clear)

    def deliver(self, *, late: bool) -> None:
        """Deliver again. What was swallowed comes `late`, or its connections stay silent for good.

        Late is what a network does that was interrupted; silence, one whose other end is gone.
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
    """One side of a connection has ended, and so the other one does."""


class _Link:
    """A connection of a client, and the one to a server that it is given."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.cut: Cut | None = None
        self.is_silent = False
        self.answers = 0

    @property
    def is_served(self) -> bool:
        """Whether the connection is made: what a client sends is a statement."""
        return self.answers > _ANSWERS_OF_A_HANDSHAKE

    def reset(self) -> None:
        for end in (self.client, self.server):
            if end is not None:
                end.transport.abort()
