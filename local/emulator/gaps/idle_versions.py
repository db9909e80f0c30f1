"""Processes of versions that nobody calls any more.

AWS: an execution environment that is idle for some minutes ends.
ministack: the first process of each version stays for good, so that each release leaves one behind.
Here: a version's first process ends the idle ones of all versions but the one before: callers may
still be on that, or go back to it. Remove once ministack ends idle processes.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc


def install() -> None:
    """End processes of older versions when a newer version starts its first one."""
    acquire = lambda_runtime.acquire_worker

    def acquire_worker(
        func_name: str,
        config: dict[str, Any],
        code_zip: bytes,
        qualifier: str = "$LATEST",
        **more: Any,
    ) -> Any:
        worker, how = acquire(func_name, config, code_zip, qualifier=qualifier, **more)
        if how == "spawn" and qualifier.isdecimal():
            key = lambda_runtime._worker_key(func_name, config, qualifier)
            _end_older(key.rpartition(":")[0], int(qualifier))
        return worker, how

    lambda_runtime.acquire_worker = acquire_worker
    lambda_svc.acquire_worker = acquire_worker


def _end_older(function: str, version: int) -> None:
    """End the idle processes of a function's versions up to the last but one."""
    workers = lambda_runtime._workers
    ended = []
    with lambda_runtime._lock:
        started = sorted(
            int(key.rpartition(":")[2])
            for key in workers
            if key.rpartition(":")[0] == function and key.rpartition(":")[2].isdecimal()
        )
        before = [number for number in started if number < version]
        for number in before[:-1]:
            key = f"{function}:{number}"
            ended += [worker for worker in workers[key] if not worker.in_use]
            workers[key] = [worker for worker in workers[key] if worker.in_use]
            if not workers[key]:
                del workers[key]
    lambda_runtime.kill_workers(ended)
