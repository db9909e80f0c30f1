"""Hypothesis strategies for API Gateway events that no honest client causes."""

from __future__ import annotations

import base64
import copy
import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.service.conftest import ALICE, BOB, ROOT
from trading import fields

_PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
EVENT = json.loads((ROOT / "service" / "events" / "post_trade.json").read_text())


@dataclass(frozen=True)
class Stock:
    """The trades in the book before each case."""

    trade_ids: Sequence[str]
    keys: Sequence[str]
    cursors: Sequence[str]


PAYLOADS = (
    "",
    " ",
    "\0",
    "AAPL\n",
    "AAPL\0",
    "\N{CYRILLIC CAPITAL LETTER A}APL",
    "\N{FULLWIDTH LATIN CAPITAL LETTER A}APL",
    "AAP\N{LATIN CAPITAL LETTER L WITH STROKE}",
    "A\N{COMBINING RING ABOVE}PL",
    "\N{RIGHT-TO-LEFT OVERRIDE}LPAA",
    "\N{ZERO WIDTH SPACE}AAPL",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "\N{PILE OF POO}" * 9,
    "\ud800",
    "'; DROP TABLE trades; --",
    "' OR '1'='1",
    '" OR ""="',
    "1) UNION SELECT password FROM mysql.user -- ",
    "A' AND SLEEP(5) AND '1",
    "%s",
    "%(symbol)s",
    "{0.__class__}",
    "{where}",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}}",
    '{"$gt": ""}',
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "..%2f..%2f",
    "%00",
    "%27 OR 1",
    "a\r\nSet-Cookie: a=b",
    "a\r\n\r\n<html>",
    '\n{"level":"INFO","message":"trade booked"}',
    "NaN",
    "Infinity",
    "null",
    "true",
    "-0",
    "0x10",
    "1_000",
    "1e2",
    "9" * 30,
    "A" * 33,
    '"',
    '""',
    '"key',
    'a", "b',
    "A" * 5000,
)
any_text = st.text(st.characters(exclude_categories=()), max_size=20)
hostile_text = st.one_of(st.sampled_from(PAYLOADS), any_text)
rarely = st.sampled_from((False,) * 9 + (True,))

# Values of JSON as they stand in a body; some are none.
TOKENS = (
    *("null", "true", "false", "{}", "[]", "[1]", '{"$gt":0}', '""', "'1'", "", "undefined"),
    *("NaN", "Infinity", "-Infinity", "-0", "-0.0", "0", "-1", "1.5", "100.0", "1e2", "01", "+1"),
    *("1e400", "-1e400", "1e-400", "1e999999999", "1e-999999999", "1e9999999999999999999"),
    *("1e-9999999999999999999", "1000000001", "1000000000", "9" * 40, "9" * 5000),
    *("1." + "0" * 5000, "1." + "0" * 40 + "1", ".5", "1.", "0x10", "1_000"),
    *("[" * 4000, '{"a":' * 1500, '"100"', '"1e2"', '"0.0"', '"-0"', '"1.0000000"'),
    *('"0.5"', '"0.0000000001"', '"999999999.999999999"', '"1000000000"', '"0.500"', '"007"'),
    *('"\\ud800"', '"\\u0000"', '"\\x"', '"\t"', '"AAPL\\n"', '"BUY "', '"buy"'),
)
keys = st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True)
NAMES = tuple(fields.ORDER)
_IN_BATCHES = tuple(fields.BATCH_ORDER)
# So few that a batch has some of them twice.
_FEW_KEYS = ("key-1", "key-2", "key-3")


def sample(field: fields.Field) -> Any:
    """A good value of a field, as JSON has it."""
    schema = field.schema()
    schema = schema.get("oneOf", [schema])[0]
    return schema.get("example", schema.get("enum", [schema.get("minimum", True)])[0])


@functools.cache
def good(field: fields.Field) -> st.SearchStrategy[str]:
    """Good values of a field, as they stand in a body.

    Kept, since Hypothesis takes 50 ms to make a strategy of a pattern.
    """
    return _good(field.schema())


def _good(schema: Mapping[str, Any]) -> st.SearchStrategy[str]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"]).map(json.dumps)
    if "oneOf" in schema:
        return st.one_of(*(_good(choice) for choice in schema["oneOf"]))
    if schema["type"] == "integer":
        bounds = (schema["minimum"], schema["maximum"])
        whole = st.integers(*bounds).map(str)
        return st.one_of(whole, st.sampled_from((*map(str, bounds), "100.0", "1e2")))
    if schema["type"] == "boolean":
        return st.just("true")
    longest = schema.get("maxLength", 100)
    texts = st.from_regex(schema["pattern"].removesuffix("$") + r"\Z", alphabet=_PRINTABLE)
    return texts.filter(lambda text: len(text) <= longest).map(json.dumps)


@st.composite
def orders(draw: st.DrawFn, stock: Stock) -> dict[str, str]:
    """The members of a valid order, as JSON."""
    order = {}
    for name, field in fields.ORDER.items():
        given = rarely if isinstance(field, fields.Flag) else st.booleans()
        if field.required or draw(given):
            order[name] = draw(good(field))
    if "client_order_id" in order and draw(st.booleans()):
        order["client_order_id"] = json.dumps(draw(st.sampled_from(stock.keys)))
    return order


def written(members: Sequence[tuple[str, str]]) -> str:
    """A JSON object with these members, valid or not."""
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members) + "}"


def listed(values: Sequence[str]) -> str:
    """A list of JSON with these values, also those that are none."""
    return "[" + ",".join(values) + "]"


@st.composite
def batches(draw: st.DrawFn, stock: Stock) -> str | None:
    """The body of a batch as text: its trades are good, nearly good or nothing of the kind."""
    trades = draw(st.lists(_keyed_orders(stock), min_size=1, max_size=4))
    if draw(rarely):
        trades.append(draw(bodies(stock)) or "")
    members = [("trades", listed(trades))]
    if draw(st.booleans()):
        members.append(("all_or_nothing", draw(st.sampled_from(("true", "true", "false", "1")))))
    text = written(members)
    return draw(mutilated(text)) if draw(rarely) else text


@st.composite
def _keyed_orders(draw: st.DrawFn, stock: Stock) -> str:
    order = {name: value for name, value in draw(orders(stock)).items() if name in _IN_BATCHES}
    if not draw(rarely):
        order.setdefault("client_order_id", json.dumps(draw(st.sampled_from(_FEW_KEYS))))
    if draw(rarely):
        order[draw(st.sampled_from(NAMES))] = draw(st.sampled_from(TOKENS))
    return written(list(order.items()))


@st.composite
def bodies(draw: st.DrawFn, stock: Stock) -> str | None:
    """A body as text: valid, almost valid, or garbage."""
    members = list(draw(orders(stock)).items())
    kind = draw(st.sampled_from(("good", "value", "members", "text", "anything")))
    if kind == "value":
        name = draw(st.sampled_from(NAMES))
        token = draw(st.one_of(st.sampled_from(TOKENS), hostile_text.map(json.dumps)))
        members = [*((n, value) for n, value in members if n != name), (name, token)]
    elif kind == "members":
        # A field twice, unknown, or missing.
        extra = draw(st.one_of(st.sampled_from(NAMES), hostile_text))
        more = [*members, (extra, draw(st.sampled_from(TOKENS)))]
        members = draw(st.permutations(more))[: draw(st.integers(0, len(more)))]
    elif kind == "anything":
        return draw(st.one_of(st.none(), hostile_text, st.sampled_from(TOKENS)))
    text = written(members)
    return draw(mutilated(text)) if kind == "text" else text


@st.composite
def mutilated(draw: st.DrawFn, text: str) -> str:
    """A text with something inserted, cut off or wrapped around it."""
    place = draw(st.integers(0, len(text)))
    following = draw(st.sampled_from((text[place:], text[place + 1 :], "")))
    padding = draw(st.sampled_from((0, 0, 7 * 1024, 8 * 1024, 64 * 1024)))
    mark = draw(st.sampled_from(("", "\ufeff", " ")))
    return mark + text[:place] + draw(hostile_text) + following + " " * padding


def encoded(text: str, encoding: str) -> str:
    """A text in Base64, as API Gateway sends binary bodies."""
    return base64.b64encode(text.encode(encoding, "surrogatepass")).decode()


@st.composite
def headers(draw: st.DrawFn, stock: Stock) -> dict[str, str] | None:
    """Headers, with a key or several, or none at all."""
    found = draw(
        st.one_of(
            st.none(),
            st.just({}),
            st.dictionaries(
                st.one_of(
                    st.sampled_from(
                        ("Content-Type", "Accept", "Host", "X-Forwarded-For", "Cookie")
                    ),
                    hostile_text,
                ),
                hostile_text,
                max_size=3,
            ),
        )
    )
    if draw(st.booleans()):
        name = draw(st.sampled_from(("Idempotency-Key", "idempotency-key", "IDEMPOTENCY-KEY")))
        key = st.one_of(keys, st.sampled_from(stock.keys))
        value = draw(st.one_of(key, key.map('"{}"'.format), hostile_text))
        found = {**(found or {}), name: value}
    return found


@st.composite
def identities(draw: st.DrawFn) -> dict[str, str | None]:
    """The caller as API Gateway describes it: a user, a session, a root or nobody."""
    return draw(
        st.sampled_from(
            (
                {"sourceIp": "127.0.0.1"},
                {"sourceIp": "127.0.0.1", "caller": None, "accountId": None, "userArn": None},
                {"sourceIp": "::1", "caller": "", "userArn": ""},
                ALICE,
                BOB,
                {"caller": "111122223333", "accountId": "111122223333", "userArn": None},
                {"caller": "111122223333:eve", "accountId": "111122223333"},
                {**BOB, "caller": "AROA" + "X" * 17 + ":" + "s" * 64},
            )
        )
    )


@st.composite
def cursors(draw: st.DrawFn, stock: Stock) -> str:
    """A cursor: real, tampered with, or invented."""
    cursor = draw(st.sampled_from(stock.cursors))
    kind = draw(st.sampled_from(("whole", "cut", "bit", "letter", "made up")))
    if kind == "cut":
        return cursor[: draw(st.integers(0, len(cursor)))]
    if kind == "bit":
        raw = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        bit = draw(st.integers(0, len(raw) * 8 - 1))
        raw[bit // 8] ^= 1 << bit % 8
        return base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    if kind == "letter":
        place = draw(st.integers(0, len(cursor) - 1))
        return cursor[:place] + draw(st.sampled_from("AZaz09_-=+/ .%")) + cursor[place + 1 :]
    return cursor if kind == "whole" else draw(hostile_text)


# Every query parameter of the API, with valid values.
QUERIES = {
    **fields.FIND_TRADE,
    **fields.GET_TRADE,
    **fields.LIST_EVENTS,
    **fields.LIST_TRADES,
    **fields.LIST_POSITIONS,
}
PARAMETERS = tuple(QUERIES)
# Cursors of the feed, such as its start and places that no book has, and one of the positions.
_PLACES = ("0", "1", "9" * 18, "7-019C11B5A0F83D1E5B7C9A2F40", "AAPL")
MORE_GOOD_VALUES: Mapping[str, Sequence[str]] = {
    "symbol": ("BRK.B",),
    "status": ("VOID",),
    "from": ("0001-01-01T00:00:00Z",),
    "to": ("9999-12-31T23:59:59.999999Z", "2026-01-31T00:00:00.5Z"),
    "limit": ("200",),
    "consistent": ("false",),
}
GOOD_VALUES = {
    name: (str(sample(field)).replace("True", "true"), *MORE_GOOD_VALUES.get(name, ()))
    for name, field in QUERIES.items()
}


@st.composite
def queries(draw: st.DrawFn, stock: Stock) -> dict[str, list[str]] | None:
    """Query parameters: none, valid, hostile, or one given twice."""
    query: dict[str, list[str]] = {}
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.one_of(st.sampled_from(PARAMETERS), hostile_text))
        if name == "cursor":
            value = draw(st.one_of(cursors(stock), st.sampled_from(_PLACES)))
        elif name in GOOD_VALUES and draw(st.booleans()):
            value = draw(st.sampled_from(GOOD_VALUES[name]))
        else:
            value = draw(st.one_of(st.sampled_from(stock.keys), hostile_text))
        query[name] = [value] * (1 + draw(rarely))
    return query or None


ROUTES = (
    *(("POST", "/trade"),) * 6,
    *(("POST", "/trades"),) * 3,
    ("GET", "/trade"),
    *(("GET", "/trade/{}"), ("DELETE", "/trade/{}"), ("GET", "/trades")) * 2,
    *(("POST", "/trade/{}/void"),) * 2,
    ("GET", "/positions"),
    *(("GET", "/events"),) * 2,
    ("GET", "/health"),
    ("GET", "/health/ready"),
)


@st.composite
def events(
    draw: st.DrawFn, stock: Stock, routes: Sequence[tuple[str, str]] = ROUTES
) -> dict[str, Any]:
    """An event as a whole."""
    method, path = draw(st.sampled_from(routes))
    path = path.format(draw(st.one_of(st.sampled_from(stock.trade_ids), hostile_text)))
    if draw(rarely):
        method = draw(
            st.sampled_from(("PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "get", "", "X\r\n"))
        )
    if draw(rarely):
        path = draw(st.one_of(hostile_text, hostile_text.map("/trade/{}/".format)))
    kinds = bodies(stock)
    if path.endswith("/void"):
        good_reason = st.builds(lambda r: written([("reason", r)]), good(fields.VOID_REASON))
        kinds = st.one_of(good_reason, kinds)
    elif path == "/trades":
        kinds = st.one_of(batches(stock), batches(stock), kinds)
    body = draw(kinds) if method == "POST" or draw(rarely) else None
    is_base64_encoded = draw(st.sampled_from((False, False, False, True)))
    if is_base64_encoded and body is not None and not draw(rarely):
        body = encoded(body, draw(st.sampled_from(("utf-8", "utf-8", "utf-16", "utf-32-be"))))
        if draw(rarely):
            body = body[:-1] or "="
    found = draw(headers(stock))
    query = draw(queries(stock))
    event = copy.deepcopy(EVENT)
    event.update(
        httpMethod=method,
        path=path,
        body=body,
        isBase64Encoded=is_base64_encoded,
        headers=found,
        multiValueHeaders=None if found is None else {n: [v] for n, v in found.items()},
        queryStringParameters=None if query is None else {n: v[-1] for n, v in query.items()},
        multiValueQueryStringParameters=query,
    )
    event["requestContext"]["identity"] = draw(identities())
    # What API Gateway leaves out of some events.
    for name in ("multiValueHeaders", "queryStringParameters", "stageVariables", "resource"):
        if draw(rarely):
            del event[name]
    return event
