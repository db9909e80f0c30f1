"""State that survives a crash of the emulator.

AWS: keeps the result of every request that it answered.
ministack: writes its state only at an orderly shutdown.
Here: a request that changes resources is answered after the state has been written. Changes by data
requests and by background work are written within a second of the next request. Only services that
changed are written. Remove once ministack saves continuously.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import persistence

_DELAY_SECONDS = 0.5
_ATTEMPTS = 20

# These requests are answered before the state is written. Reads change nothing. Data requests are
# frequent, and some services keep their data in files of their own.
_READS = re.compile(
    "(Batch)?(Decrypt|Describe|Encrypt|Generate|Get|List|Lookup|Query|Scan|Simulate|Test|Validate)"
)
_DATA_SERVICES = {"kinesis", "logs", "sqs"}
_DATA_ACTIONS = {"Publish", "PublishBatch", "PutEvents", "PutMetricData"}

logger = logging.getLogger("durable-state")

Handler = Callable[..., Awaitable[Any]]


class DurableState:
    """Saves ministack's state with each request that changes it, or shortly after."""

    def __init__(self) -> None:
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._saving = threading.Lock()
        self._save_started = 0.0
        self._written: dict[str, bytes] = {}
        # ministack's own threads could all be waiting for this one.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state-writer")
        self._saver = threading.Thread(target=self._run, name="state-saver", daemon=True)

    def install(self) -> None:
        """Save after each request that changes resources. `start` begins saving the rest."""
        for service, handler in app.SERVICE_HANDLERS.items():
            app.SERVICE_HANDLERS[service] = self._saving_after(service, handler)

    def start(self) -> None:
        """Start saving. Call it after the last state has been restored."""
        self._saver.start()

    def stop(self) -> None:
        """Stop saving, so that nothing else writes during the shutdown's final save."""
        self._stopping.set()
        self._changed.set()
        self._saver.join()

    def save(self, changed_at: float) -> None:
        """Write the state of each service that has changed since it was last written.

        `changed_at` is a time of `time.monotonic`. A save that started later includes the change,
        and then there is nothing to do.
        """
        with self._saving:
            if self._save_started <= changed_at:
                self._save_started = time.monotonic()
                self._save()

    def _save(self) -> None:
        for name, get_state in app._build_persistence_save_dict().items():
            try:
                text = _snapshot(name, get_state)
            except Exception:  # ministack's code may raise anything; save the other services anyway
                logger.exception("the state of %s was not saved", name)
                continue
            digest = hashlib.sha256(text).digest()
            if digest == self._written.get(name):
                continue
            try:
                _replace(Path(persistence.STATE_DIR) / f"{name}.json", text)
            except OSError as error:
                logger.error("the state of %s was not saved: %s", name, error)
                continue
            self._written[name] = digest

    def _saving_after(self, service: str, handler: Handler) -> Handler:
        async def handle(
            method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
        ) -> Any:
            response = await handler(method, path, headers, body, query)
            if _changes_resources(service, method, path, headers, body):
                changed_at = time.monotonic()
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._executor, self.save, changed_at)
            else:
                # Also after reads: background work, such as a stack's deployment, ends without a
                # request, but its client polls.
                self._changed.set()
            return response

        return handle

    def _run(self) -> None:
        while True:
            self._changed.wait()
            if self._stopping.wait(_DELAY_SECONDS):
                return
            self._changed.clear()
            self.save(time.monotonic())


def _changes_resources(
    service: str, method: str, path: str, headers: dict[str, str], body: bytes
) -> bool:
    if method in ("GET", "HEAD", "OPTIONS") or service in _DATA_SERVICES:
        return False
    if service == "s3":
        return "/" not in path.strip("/")  # settings of a bucket, not an object
    if path.endswith("/invocations"):
        return False
    action = _action(path, headers, body)
    return action not in _DATA_ACTIONS and not _READS.match(action)


def _action(path: str, headers: dict[str, str], body: bytes) -> str:
    """The name of the action; empty for REST protocols, where the method is enough."""
    if target := headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    if found := re.search(rb"(?:^|&)Action=(\w+)", body):
        return found[1].decode()
    return path.rpartition("/operation/")[2] if "/operation/" in path else ""


def _snapshot(name: str, get_state: Callable[[], Any]) -> bytes:
    for attempt in range(_ATTEMPTS):
        try:
            content = {
                "__ministack_format__": persistence._state_format_version(name),
                "payload": get_state(),
            }
            return json.dumps(content, default=persistence._json_default).encode()
        except RuntimeError:  # a request changed a dictionary while it was read
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
