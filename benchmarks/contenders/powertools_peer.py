"""Powertools' idempotency with its own store, DynamoDB, around the bare INSERT.

It has the service's resolver, logger and metrics. A few lines check the fields.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)
from aws_lambda_powertools.utilities.typing import LambdaContext
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from benchmarks.contenders.bare import connect, insert

logger = Logger()
metrics = Metrics(namespace="TradingPlatform")
app = APIGatewayRestResolver()
connection: Connection[Cursor] | None = None


@app.post("/trade")
def post_trade() -> Response[str]:
    """Book a trade."""
    global connection  # noqa: PLW0603
    order = json.loads(app.current_event.body or "")
    if not re.fullmatch(r"[A-Z][A-Z0-9.-]{0,15}", order["symbol"]) or order["quantity"] < 1:
        return Response(400, "application/json", "{}")
    connection = connection or connect()
    trade_id = insert(connection, app.current_event.headers["Idempotency-Key"])
    logger.info("trade booked", trade_id=trade_id)
    metrics.add_metric("TradesAccepted", MetricUnit.Count, 1)
    document = {
        "trade_id": trade_id,
        "symbol": order["symbol"],
        "quantity": order["quantity"],
        "status": "SUCCESS",
        "region": os.environ["AWS_REGION"],
        "environment": os.environ["ENVIRONMENT_SUFFIX"],
        "db_endpoint": os.environ["DATABASE_WRITER_ENDPOINT"],
    }
    return Response(200, "application/json", json.dumps(document))


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_REST)
@metrics.log_metrics
@idempotent(
    persistence_store=DynamoDBPersistenceLayer(table_name="idempotency"),
    config=IdempotencyConfig(event_key_jmespath='headers."Idempotency-Key"'),
)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway."""
    return app.resolve(event, context)
