"""Puts ministack and the gap modules together and serves them over HTTP.

Import it only after `Installation.apply` has prepared the environment.
"""

from __future__ import annotations

import asyncio

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app

from local.emulator import databases, gaps, recorder
from local.emulator.guard import Message, OwnListener, Receive, Send, guarded
from local.emulator.installation import HOST, Installation
from local.emulator.state import DurableState


def run(installation: Installation) -> None:
    """Serve until SIGTERM or SIGINT, then save the state and stop the databases."""
    gaps.install()
    servers = databases.install(installation)
    state = DurableState()
    state.install()
    recorder.install()

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        async def restored_first(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await asyncio.to_thread(servers.start)
                state.start()
                print(f"emulator: serving AWS at {installation.url}", flush=True)
            await send(message)

        async def saved_last() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(state.stop)
            return message

        if scope["type"] == "lifespan":
            await app.app(scope, saved_last, restored_first)
        else:
            await app.app(scope, receive, send)

    config = Config()
    config.bind = [f"{HOST}:{installation.port}"]
    # A request may arrive while the server closes its idle connection: it is carried out, its
    # answer is lost, and Terraform sends it again. Go's clients close after 90 s, before this. The
    # server closes none earlier, even if its client has.
    config.keep_alive_timeout = 120
    config.loglevel = "WARNING"
    sockets = config.create_sockets()
    sockets.insecure_sockets = [OwnListener(made) for made in sockets.insecure_sockets]
    config.create_sockets = lambda: sockets
    try:
        asyncio.run(serve(guarded(application, installation), config))
    finally:
        servers.stop()
