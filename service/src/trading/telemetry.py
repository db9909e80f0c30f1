"""Structured logs, metrics and, where the template asks for them, traces."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

TRADES_ACCEPTED = "TradesAccepted"
TRADES_REPLAYED = "TradesReplayed"
TRADES_REJECTED = "TradesRejected"
DATABASE_RETRIES = "DatabaseRetries"

Handler = Callable[[dict[str, Any], LambdaContext], Any]

logger = Logger()
_metrics = Metrics(namespace="TradingPlatform")


def count(name: str, value: int = 1) -> None:
    """Add to a metric; `measured` writes all metrics of a request at its end."""
    _metrics.add_metric(name, MetricUnit.Count, value)


def measured(handler: Handler) -> Handler:
    """Write a request's metrics as one line of the log, its time in `Latency` (milliseconds).

    CloudWatch reads metrics from such lines (embedded metric format), so that writing them costs a
    function no call of an API.
    """

    @functools.wraps(handler)
    def call(event: dict[str, Any], context: LambdaContext) -> Any:
        started = time.perf_counter()
        try:
            return handler(event, context)
        finally:
            elapsed = (time.perf_counter() - started) * 1000
            _metrics.add_metric("Latency", MetricUnit.Milliseconds, elapsed)
            _metrics.add_dimension("environment", os.environ["ENVIRONMENT_SUFFIX"])
            _metrics.flush_metrics()

    return call


def traced(handler: Handler) -> Handler:
    """Trace requests and the calls that they cause with AWS X-Ray, if `TRACING` is `Active`."""
    if os.environ.get("TRACING") != "Active":
        return handler
    # The X-Ray SDK patches libraries and takes a tenth of a second to load.
    from aws_lambda_powertools import Tracer

    tracer = Tracer(patch_modules=["botocore", "pymysql"])
    # A traced answer would hold the payload.
    traced_handler: Handler = tracer.capture_lambda_handler(handler, capture_response=False)
    return traced_handler
