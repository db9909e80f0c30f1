"""FastAPI behind Mangum, with SQLAlchemy's ORM: the usual way to an HTTP API in Python.

It validates with a pydantic model, is idempotent by the table's unique key, writes one log line and
one line of metrics per request, and keeps its connection open.
"""

import json
import logging
import os
import secrets
import ssl
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Header, HTTPException
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import URL, BigInteger, create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO, force=True)
logger = logging.getLogger("trade")

_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_tls.load_verify_locations(os.environ["DATABASE_CA_FILE"])
engine = create_engine(
    URL.create(
        "mysql+pymysql",
        username=os.environ["DATABASE_USER"],
        password=os.environ["DATABASE_PASSWORD"],
        host=os.environ["DATABASE_WRITER_ENDPOINT"],
        port=int(os.environ["DATABASE_PORT"]),
        database=os.environ["DATABASE_NAME"],
    ),
    pool_size=1,
    connect_args={"ssl": _tls},
)
Sessions = sessionmaker(engine)


class Base(DeclarativeBase):
    """All tables."""


class Trade(Base):
    """A booked trade."""

    __tablename__ = "trades"

    trade_id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    symbol: Mapped[str]
    quantity: Mapped[int] = mapped_column(BigInteger)
    side: Mapped[str]
    price: Mapped[Decimal | None]
    client_order_id: Mapped[str | None]
    caller: Mapped[str]
    account: Mapped[str | None]
    principal: Mapped[str]
    status: Mapped[str]
    voided_at: Mapped[datetime | None]
    voided_by: Mapped[str | None]


class Order(BaseModel):
    """The body of `POST /trade`."""

    model_config = ConfigDict(extra="forbid")

    symbol: str = Field(pattern=r"^[A-Z][A-Z0-9]*([.-][A-Z0-9]+)*$", max_length=16)
    quantity: int = Field(ge=1, le=1_000_000_000)
    side: Literal["BUY", "SELL"] = "BUY"
    price: Decimal | None = Field(default=None, gt=0, max_digits=18, decimal_places=6)
    client_order_id: str | None = Field(default=None, max_length=64)
    validate_only: bool = False


class Answer(BaseModel):
    """The answer to `POST /trade`."""

    trade_id: str
    symbol: str
    quantity: int
    status: str
    region: str
    environment: str
    db_endpoint: str


app = FastAPI()


def _session() -> Iterator[Session]:
    with Sessions() as session:
        yield session


@app.post("/trade")
def post_trade(
    order: Order,
    session: Annotated[Session, Depends(_session)],
    idempotency_key: Annotated[str | None, Header(max_length=64)] = None,
) -> Answer:
    """Book a trade."""
    started = time.perf_counter()
    now = datetime.now(UTC).replace(tzinfo=None)
    trade = Trade(
        trade_id=f"TRADE-{int(now.timestamp() * 1000):012X}{secrets.token_hex(7).upper()}",
        created_at=now,
        **order.model_dump(include={"symbol", "quantity", "side", "price"}),
        client_order_id=idempotency_key or order.client_order_id,
        caller="anonymous",
        principal="anonymous",
        status="SUCCESS",
    )
    trade_id = trade.trade_id
    try:
        session.add(trade)
        session.commit()
    except IntegrityError:
        session.rollback()
        booked = session.scalars(
            select(Trade).where(
                Trade.caller == "anonymous", Trade.client_order_id == trade.client_order_id
            )
        ).one()
        if (booked.symbol, booked.quantity, booked.side, booked.price) != (
            *(order.symbol, order.quantity, order.side),
            order.price,
        ):
            raise HTTPException(422, "The key was used for another request.") from None
        trade_id = booked.trade_id
    _log(trade_id, started)
    return Answer(
        trade_id=trade_id,
        symbol=order.symbol,
        quantity=order.quantity,
        status="SUCCESS",
        region=os.environ["AWS_REGION"],
        environment=os.environ["ENVIRONMENT_SUFFIX"],
        db_endpoint=os.environ["DATABASE_WRITER_ENDPOINT"],
    )


def _log(trade_id: str, started: float) -> None:
    logger.info(json.dumps({"level": "INFO", "message": "trade booked", "trade_id": trade_id}))
    metrics = [{"Name": "TradesAccepted", "Unit": "Count"}]
    metrics += [{"Name": "Latency", "Unit": "Milliseconds"}]
    directive = {"Namespace": "TradingPlatform", "Dimensions": [["service"]], "Metrics": metrics}
    logger.info(
        json.dumps(
            {
                "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
                "service": "trade",
                "TradesAccepted": 1,
                "Latency": (time.perf_counter() - started) * 1000,
            }
        )
    )


handler = Mangum(app, lifespan="off")
