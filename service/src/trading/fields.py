"""The fields of requests and their rules.

The checks of requests and the schemas of the OpenAPI document both come from here, so that they
cannot differ.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from trading.models import BUY, SELL, SUCCESS, VOID

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_INSTANT = rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_CLOCK}:[0-5][0-9](\.[0-9]{{1,6}})?(Z|[+-]{_CLOCK})"
_INSTANT_EXAMPLE = "2026-01-31T09:30:00Z"
_MOST_EXACT: int = 2**53 - 1


@dataclass(frozen=True)
class Field(ABC):
    """The rules of one field."""

    description: str
    required: bool = False
    default: Any = None

    @abstractmethod
    def parse(self, value: object) -> Any:
        """Turn a JSON value into the service's own.

        Raises:
            ValueError: the value is invalid; the text says what it must be.
        """

    def from_text(self, text: str) -> object:
        """The JSON value that the text of a query parameter stands for."""
        return text

    def write(self, value: Any) -> object:
        """The JSON value with which the API answers one of the service's own values."""
        return value

    def schema(self) -> dict[str, Any]:
        """The field as OpenAPI 3.0 describes it."""
        default = {} if self.default is None else {"default": self.default}
        return {**self._type(), "description": self.description, **default}

    @abstractmethod
    def _type(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Text(Field):
    """A string of a pattern."""

    pattern: str = ""
    min_length: int = 1
    max_length: int = 1
    rule: str = ""
    example: str = ""

    def parse(self, value: object) -> str:  # noqa: D102
        if not isinstance(value, str):
            raise ValueError("must be a string")
        if len(value) > self.max_length or not re.fullmatch(self.pattern, value):
            raise ValueError(f"must be {self.rule}, such as {self.example}")
        return value

    def _type(self) -> dict[str, Any]:
        return {
            "type": "string",
            "minLength": self.min_length,
            "maxLength": self.max_length,
            "pattern": f"^{self.pattern}$",
            "example": self.example,
        }


@dataclass(frozen=True)
class Choice(Field):
    """One of a few words."""

    values: tuple[str, ...] = ()

    def parse(self, value: object) -> str:  # noqa: D102
        if value not in self.values:
            raise ValueError(f"must be one of {', '.join(self.values)}")
        return str(value)

    def _type(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.values)}


@dataclass(frozen=True)
class Whole(Field):
    """A whole number; 100, 100.0 and 1e2 are the same one."""

    minimum: int = 1
    maximum: int = 1

    def parse(self, value: object) -> int:  # noqa: D102
        # True and False are integers in Python, but not in JSON.
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise ValueError("must be a number")
        # Bounds first: converting a Decimal such as 1E+999999999 would fill the memory.
        if not self.minimum <= value <= self.maximum or value != int(value):
            raise ValueError(f"must be a whole number from {self.minimum} to {self.maximum}")
        return int(value)

    def from_text(self, text: str) -> object:  # noqa: D102
        return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text

    def _type(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True)
class Amount(Field):
    """An exact decimal number above 0. It is a string: JSON readers turn numbers into floats."""

    integer_digits: int = 1
    decimals: int = 1
    example: str = ""

    def parse(self, value: object) -> Decimal:  # noqa: D102
        if not isinstance(value, str):
            raise ValueError(f'must be a string such as "{self.example}", so that it stays exact')
        if not re.fullmatch(self._pattern, value):
            raise ValueError(
                f"must be a decimal number above 0 with at most {self.integer_digits} digits before"
                f" and {self.decimals} after the point, such as {self.example}"
            )
        return Decimal(value)

    def write(self, value: Decimal) -> str:  # noqa: D102
        return amount(value)

    @property
    def _pattern(self) -> str:
        # No sign, no exponent, no leading zeros, and not zero.
        return (
            r"(?!0(\.0*)?$)"
            rf"(0|[1-9][0-9]{{0,{self.integer_digits - 1}}})(\.[0-9]{{1,{self.decimals}}})?"
        )

    def _type(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^{self._pattern}$", "example": self.example}


@dataclass(frozen=True)
class Quantity(Field):
    """A number of units: a whole number, or an exact decimal number as a string."""

    whole: Whole = Whole("")
    exact: Amount = Amount("")

    def parse(self, value: object) -> int | Decimal:  # noqa: D102
        try:
            found = (self.exact if isinstance(value, str) else self.whole).parse(value)
        except ValueError:
            raise ValueError(
                f"must be a whole number from {self.whole.minimum} to {self.whole.maximum}, or a "
                f'string such as "{self.exact.example}": a decimal number above 0 with at most '
                f"{self.exact.integer_digits} digits before and {self.exact.decimals} after the "
                "point"
            ) from None
        return int(found) if found == int(found) else Decimal(found)

    def write(self, value: int | Decimal) -> object:  # noqa: D102
        return quantity(value)

    def _type(self) -> dict[str, Any]:
        return {"oneOf": [self.whole._type(), self.exact._type()]}


@dataclass(frozen=True)
class Flag(Field):
    """True, or false by default."""

    default: Any = False

    def parse(self, value: object) -> bool:  # noqa: D102
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value

    def from_text(self, text: str) -> object:  # noqa: D102
        return {"true": True, "false": False}.get(text, text)

    def _type(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Items(Field):
    """A list of objects. Each is checked apart, so that one wrong object spoils no other."""

    maximum: int = 1
    item: str = ""

    def parse(self, value: object) -> list[object]:  # noqa: D102
        if not isinstance(value, list):
            raise ValueError("must be a list")
        if not 1 <= len(value) <= self.maximum:
            raise ValueError(f"has {len(value)} items; it must have 1 to {self.maximum}")
        return value

    def _type(self) -> dict[str, Any]:
        items = {"$ref": f"#/components/schemas/{self.item}"}
        return {"type": "array", "minItems": 1, "maxItems": self.maximum, "items": items}


@dataclass(frozen=True)
class Instant(Field):
    """A point in time, in UTC or with an offset from it."""

    def parse(self, value: object) -> datetime:  # noqa: D102
        if isinstance(value, str) and re.fullmatch(_INSTANT, value):
            # There is no such day, or none in UTC that the calendar has.
            with contextlib.suppress(ValueError, OverflowError):
                return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
        raise ValueError(
            f"must be a time such as {_INSTANT_EXAMPLE} or 2026-01-31T10:30:00+01:00 (in a URL, "
            "write + as %2B)"
        )

    def _type(self) -> dict[str, Any]:
        return {
            "type": "string",
            "format": "date-time",
            "pattern": f"^{_INSTANT}$",
            "example": _INSTANT_EXAMPLE,
        }


def instant(value: datetime) -> str:
    """A time in the API's form, to the microsecond."""
    return value.replace(tzinfo=UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def amount(value: Decimal) -> str:
    """An amount in the API's form: exact, without trailing zeros."""
    # `normalize` would round to 28 digits.
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: int | Decimal) -> int | str:
    """A quantity in the API's form: a number if every reader of JSON takes it exactly.

    Others are strings. Many readers, such as JavaScript's, turn numbers into floats, which hold no
    0.1 and not every whole number beyond 2**53.
    """
    number = int(value)
    return number if number == value and abs(number) <= _MOST_EXACT else amount(Decimal(value))


def read(fields: Mapping[str, Field], values: Mapping[str, object]) -> dict[str, Any]:
    """Check `values` against `fields`, and fill in defaults.

    Raises:
        ValueError: a required field is missing, a field is unknown, or a value is wrong.
    """
    for name in values:
        if name not in fields:
            raise ValueError(f"{name[:40]!r} is unknown; known are {', '.join(fields)}")
    parsed = {}
    for name, field in fields.items():
        if name in values:
            try:
                parsed[name] = field.parse(values[name])
            except ValueError as error:
                raise ValueError(f"{name!r} {error}") from None
        elif field.required:
            raise ValueError(f"{name!r} is missing")
        else:
            parsed[name] = field.default
    return parsed


MAX_PAGE = 200

SYMBOL = Text(
    "The instrument.",
    # At the end, what OCC's option symbols have after an underlying that is filled up to 6 letters.
    pattern=r"[A-Z0-9]+([./&-][A-Z0-9]+)*( {1,5}[0-9]{6}[CP][0-9]{8})?",
    max_length=32,
    rule="1 to 32 capital letters and digits, with single . - / or & between them, or an OCC "
    "option symbol",
    example="AAPL",
)
SIDE = Choice("Whether the caller buys or sells.", values=(BUY, SELL))
STATUS = Choice(
    "SUCCESS once the trade is booked. VOID once it is voided, which cannot be undone.",
    values=(SUCCESS, VOID),
)
QUANTITY = Quantity(
    "Number of units: a whole number, or a decimal number as a string.",
    required=True,
    whole=Whole("", minimum=1, maximum=1_000_000_000),
    exact=Amount("", integer_digits=9, decimals=9, example="0.5"),
)
PRICE = Amount("Price of one unit.", integer_digits=12, decimals=6, example="189.25")
CLIENT_ORDER_ID = Text(
    "The caller's own name for the trade, unique among the trades of this caller.",
    pattern=r"[A-Za-z0-9._:-]{1,128}",
    max_length=128,
    rule="1 to 128 letters, digits, dots, underscores, colons and hyphens",
    example="desk-7:2026-01-31:0001",
)
TRADE_ID = Text(
    "The trade's ID. Later trades have greater IDs.",
    pattern=r"TRADE-[0-9A-F]{26}",
    min_length=32,
    max_length=32,
    rule="an ID that the service gave",
    example="TRADE-019C11B5A0F83D1E5B7C9A2F40",
)
_CONSISTENT = Flag(
    "Read from the writer: the answer includes every trade booked before this request."
)


# The body of POST /trade.
ORDER: Mapping[str, Field] = {
    "symbol": dataclasses.replace(SYMBOL, required=True),
    "quantity": QUANTITY,
    "side": dataclasses.replace(SIDE, default=BUY),
    "price": PRICE,
    "client_order_id": CLIENT_ORDER_ID,
    "validate_only": Flag("Check the request and book nothing."),
}
# The body of POST /trade/{trade_id}/void.
VOID_REASON = Text(
    "Why the trade is voided.",
    required=True,
    # No control characters. JSON may also hold half of a surrogate pair, which no database takes. A
    # pattern that names surrogates to exclude them is not portable: tools ignore it as a whole.
    pattern=r"[ -~\u00A0-\uD7FF\uE000-\uFFFD]+",
    max_length=200,
    rule="1 to 200 characters without line breaks or emoji",
    example="wrong quantity",
)
VOIDING: Mapping[str, Field] = {"reason": VOID_REASON}
# This header of POST /trade means the same as `client_order_id`.
KEY_HEADER = "Idempotency-Key"

# What an order is answered with: the same fields, but for the one that is about the request.
ANSWERED_ORDER: Mapping[str, Field] = {
    name: field for name, field in ORDER.items() if name != "validate_only"
}

# The body of POST /trades. Without a key, a trade could not be asked for again after a failure.
MAX_BATCH = 500
BATCH_ORDER: Mapping[str, Field] = {
    **ANSWERED_ORDER,
    "client_order_id": dataclasses.replace(CLIENT_ORDER_ID, required=True),
}
BATCH: Mapping[str, Field] = {
    "trades": Items(
        "The trades, each with a key of its own.",
        required=True,
        maximum=MAX_BATCH,
        item="BatchOrder",
    ),
    "all_or_nothing": Flag("Book no trade if one of them is refused."),
}

# What becomes of a trade of a batch. One is skipped if another one of the batch is refused.
OUTCOMES = ("BOOKED", "REPLAYED", "REFUSED", "SKIPPED")

# The query parameters of the GET routes.
GET_TRADE: Mapping[str, Field] = {"consistent": _CONSISTENT}
FIND_TRADE: Mapping[str, Field] = {
    "client_order_id": dataclasses.replace(CLIENT_ORDER_ID, required=True),
    "consistent": _CONSISTENT,
}
# `models.TradeFilter` has the same ones.
FILTERS: Mapping[str, Field] = {
    "symbol": SYMBOL,
    "side": SIDE,
    "status": STATUS,
    "from": Instant("Trades booked at or after this time."),
    "to": Instant("Trades booked before this time."),
}
LIST_TRADES: Mapping[str, Field] = {
    **FILTERS,
    "limit": Whole(
        "The most trades that a page may have.", default=50, minimum=1, maximum=MAX_PAGE
    ),
    "cursor": Text(
        "`next_cursor` of the page before; give the same filters with it.",
        pattern=r"[A-Za-z0-9_-]+",
        max_length=256,
        rule="the next_cursor of a page",
        example="eyJ0IjoiMjAyNi0wMS0zMSJ9",
    ),
    "consistent": _CONSISTENT,
}
MAX_EVENTS = 500
LIST_EVENTS: Mapping[str, Field] = {
    "cursor": Text(
        "`next_cursor` of the page before, or the `cursor` of an event: the page begins after it.",
        # The event's number, and what follows `TRADE-` in its trade's ID.
        pattern=r"(0|[1-9][0-9]{0,17})(-[0-9A-F]{26})?",
        max_length=45,
        rule="a cursor that the feed gave",
        example="1207-019C11B5A0F83D1E5B7C9A2F40",
    ),
    "from": Instant(
        "Begin with the events of about this time, which must be an hour ago or longer."
    ),
    "limit": Whole(
        "The most events that a page may have.", default=100, minimum=1, maximum=MAX_EVENTS
    ),
    "consistent": _CONSISTENT,
}
# Lambda answers with at most 6 MB, and the longest position takes 200 bytes.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_POSITIONS = 10_000
LIST_POSITIONS: Mapping[str, Field] = {
    "symbol": SYMBOL,
    "limit": Whole(
        "The most positions that a page may have.",
        default=MAX_POSITIONS,
        minimum=1,
        maximum=MAX_POSITIONS,
    ),
    "cursor": Text(
        "`next_cursor` of the page before: the page begins after it.",
        # A symbol, also one that the service would not book: reading must not stop there.
        pattern=r"[\x01-\x7F]+",
        max_length=SYMBOL.max_length,
        rule="a cursor that the list gave",
        example="AAPL",
    ),
    "consistent": _CONSISTENT,
}
