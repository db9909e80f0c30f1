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


def tell(message: str, **facts: str) -> None:
    """Say what a request did, in the line that `measured` writes at its end."""
    for name, fact in {"message": message, **facts}.items():
        _metrics.add_metadata(name, fact)


def correlate(request_id: str) -> None:
    """Put the ID that the caller gets into all lines of a request."""
    logger.set_correlation_id(request_id)
    _metrics.add_metadata("correlation_id", request_id)


def measured(handler: Handler) -> Handler:
    """Write one line of the log per request: what was told of it, its metrics and its `Latency`.

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
