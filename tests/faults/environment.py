"""An execution environment: a process that runs the trade function, one request at a time.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Context:
    """What Lambda tells a function about an invocation."""

    ends_at: float
    function_name: str = "trade"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:trade"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def get_remaining_time_in_millis(self) -> int:
        return int((self.ends_at - time.monotonic()) * 1000)


def serve(
    requests: Connection, log: Path, timeout_seconds: float, clock_ahead_seconds: float
) -> None:
    """Answer events with the function's answers, until there are no more."""
    # A terminal's Ctrl-C is for the campaign, which then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), stream.fileno())
    from trading import api, trades

    right_now = trades.now
    trades.now = lambda: right_now() + timedelta(seconds=clock_ahead_seconds)
    while True:
        try:
            event: dict[str, Any] = requests.recv()
        except EOFError:
            return
        context = Context(time.monotonic() + timeout_seconds)
        requests.send(api.handler(event, context))  # type: ignore[arg-type]
