"""Runs a function as Lambda does: one process with Lambda's runtime client and interface.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.http import Closed, Connection, Request
from shared.cli.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-bench" / "bin" / "python"

_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Code:
    """A function: its handler, the folders of its packages, and its variables."""

    handler: str
    folders: Sequence[Path]
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A function's answer, and its duration as Lambda bills it."""

    seconds: float
    document: Any


class ExecutionEnvironment:
    """A process that runs one function, and the runtime interface that gives it requests.

    It is measured from outside. Between requests it waits in the runtime client, as on Lambda. It
    joins a control group if there is one.
    """

    def __init__(
        self, code: Code, variables: Mapping[str, str], log: Path, group: Path | None = None
    ) -> None:
        self._log = log
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_TIMEOUT_SECONDS)
        started = time.perf_counter()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*joining(group), PYTHON, "-m", "awslambdaric", code.handler],
                env={**self._variables(code), **variables, **code.variables},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._connection = self._accept()
        self._await_next()
        self.init_seconds = time.perf_counter() - started
        """From the start of the process until it asks for its first request."""

    def __enter__(self) -> ExecutionEnvironment:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()
        self._listener.close()

    def invoke(self, event: Mapping[str, Any]) -> Answer:
        """Send a request and wait for its answer.

        Raises:
            UserError: the function failed; the text ends with its log.
        """
        body = json.dumps(event).encode()
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 30_000),
            "Lambda-Runtime-Invoked-Function-Arn": (
                "arn:aws:lambda:us-east-1:000000000000:function:trade"
            ),
        }
        started = time.perf_counter()
        self._connection.answer("200 OK", body, headers)
        request = self._read()
        seconds = time.perf_counter() - started
        self._connection.answer("202 Accepted")
        if not request.path.endswith("/response"):
            raise UserError(
                f"the function failed: {request.body.decode()[:400]}\n{self._log_end()}"
            )
        self._await_next()
        return Answer(seconds, json.loads(request.body))

    def cpu_seconds(self) -> float:
        """The CPU time that all threads of the process have used so far."""
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def peak_memory(self) -> int:
        """The peak memory of the process, in bytes."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise ValueError("the kernel does not report VmHWM")

    def _variables(self, code: Code) -> dict[str, str]:
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        host, port = self._listener.getsockname()
        return {
            "PATH": os.defpath,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": os.pathsep.join(map(str, code.folders)),
            "AWS_LAMBDA_RUNTIME_API": f"{host}:{port}",
            "AWS_LAMBDA_FUNCTION_NAME": "trade",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/trade",
            "AWS_LAMBDA_LOG_STREAM_NAME": "1",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "LAMBDA_TASK_ROOT": str(code.folders[0]),
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_SESSION_TOKEN": "test",
        }

    def _await_next(self) -> None:
        request = self._read()
        if not request.path.endswith("/invocation/next"):
            raise UserError(f"the function did not start: {request.body.decode()[:400]}")

    def _read(self) -> Request:
        while True:
            try:
                return self._connection.read()
            except Closed:
                if self._process.poll() is not None:
                    raise UserError(f"the function ended:\n{self._log_end()}") from None
                # The runtime client may open a new connection at any time.
                self._connection.close()
                self._connection = self._accept()

    def _accept(self) -> Connection:
        try:
            connected, _ = self._listener.accept()
        except TimeoutError:
            raise UserError(f"the function did not start:\n{self._log_end()}") from None
        connected.settimeout(_TIMEOUT_SECONDS)
        return Connection(connected)

    def _log_end(self) -> str:
        return self._log.read_text(errors="replace")[-2000:]


def joining(group: Path | None) -> list[str]:
    """The start of a command that first joins a control group."""
    if group is None:
        return []
    return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(group / "cgroup.procs")]
