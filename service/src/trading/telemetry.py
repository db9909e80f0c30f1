"""Structured logs, metrics and, if the template turns them on, traces."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

TRADES_ACCEPTED = "TradesAccepted"
TRADES_REPLAYED = "TradesReplayed"
TRADES_REJECTED = "TradesRejected"
DATABASE_RETRIES = "DatabaseRetries"
LATENCY = "Latency"
# The alarm on a missing archive sees that none of these comes any more.
ARCHIVE_HEARTBEAT = "ArchiveHeartbeat"

_NAMESPACE = "TradingPlatform"

Handler = Callable[[dict[str, Any], LambdaContext], Any]

logger = Logger()
# Of the current request. An execution environment handles one at a time.
_facts: dict[str, object] = {}
_metrics: dict[str, float] = {}


def count(name: str, value: int = 1) -> None:
    """Add to a metric. `measured` writes all metrics at the end of the request."""
    _metrics[name] = _metrics.get(name, 0) + value


def tell(message: str, **facts: str) -> None:
    """Add facts to the line that `measured` writes at the end of the request."""
    _facts.update(facts, message=message)


def correlate(request_id: str) -> None:
    """Put the ID that the caller gets into every log line of the request."""
    logger.set_correlation_id(request_id)
    _facts["correlation_id"] = request_id


def measured(handler: Handler) -> Handler:
    """Write one log line per request with its facts, its metrics and its `Latency`.

    CloudWatch reads metrics from such lines (embedded metric format), so that they need no API
    call. Powertools' metrics are not used, because their checks took a fifth of the time that a
    request adds to its database's time (`make bench`).
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """

    @functools.wraps(handler)
    def call(event: dict[str, Any], context: LambdaContext) -> Any:
        started = time.perf_counter()
        try:
            return handler(event, context)
        finally:
            _metrics[LATENCY] = (time.perf_counter() - started) * 1000
            print(json.dumps(_line(logger.service, _facts, _metrics)))
            _facts.clear()
            _metrics.clear()

    return call


def heartbeat() -> None:
    """Write a sign of life of the archive in its name."""
    print(json.dumps(_line("archive", {}, {ARCHIVE_HEARTBEAT: 1})))


def _line(
    service: str, facts: Mapping[str, object], metrics: Mapping[str, float]
) -> dict[str, object]:
    dimensions = {"environment": os.environ["ENVIRONMENT_SUFFIX"], "service": service}
    directive = {
        "Namespace": _NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [
            {"Name": name, "Unit": "Milliseconds" if name == LATENCY else "Count"}
            for name in metrics
        ],
    }
    about = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [directive]}
    return {"_aws": about, **dimensions, **facts, **metrics}


def traced(handler: Handler) -> Handler:
    """Trace requests and their calls with AWS X-Ray, if `TRACING` is `Active`."""
    if os.environ.get("TRACING") != "Active":
        return handler
    # Imported only when needed: the X-Ray SDK takes a tenth of a second to load.
    from aws_lambda_powertools import Tracer

    tracer = Tracer(patch_modules=["botocore", "pymysql"])
    # A captured response would contain the payload.
    traced_handler: Handler = tracer.capture_lambda_handler(handler, capture_response=False)
    return traced_handler
