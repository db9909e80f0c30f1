"""Reads the bodies of requests: JSON objects whose fields have rules.

Each ValueError says to the caller what is wrong with the body.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from trading import fields


def read(
    body: bytes, known: Mapping[str, fields.Field], example: str, *, most_bytes: int
) -> dict[str, Any]:
    """Read a body of at most so many bytes, check its fields, and fill in defaults.

    Raises:
        ValueError: the body is too long, is not a JSON object, or has an invalid field.
    """
    if len(body) > most_bytes:
        raise ValueError(f"The body has {len(body)} bytes; the most is {most_bytes}.")
    return check(_parse_json(body), known, example)


def check(
    document: object, known: Mapping[str, fields.Field], example: str, *, what: str = "The body"
) -> dict[str, Any]:
    """Check the fields of a JSON object, and fill in defaults.

    Raises:
        ValueError: the document is not an object, or has an invalid field.
    """
    if not isinstance(document, dict):
        raise ValueError(f"{what} must be a JSON object such as {example}.")
    try:
        return fields.read(known, document)
    except ValueError as error:
        raise ValueError(f"The field {error}.") from None


def _parse_json(body: bytes) -> Any:
    try:
        return _DECODER.decode(body.decode("utf-8"))
    except _InvalidBody:
        raise
    # ValueError covers bad UTF-8 and integers with more digits than Python converts.
    # InvalidOperation is an exponent outside of Decimal's range.
    except (ValueError, RecursionError, InvalidOperation):
        raise _InvalidBody("The body is not valid JSON.") from None


class _InvalidBody(ValueError):
    """The text says what is wrong with the body."""


def _not_a_number(constant: str) -> NoReturn:
    raise _InvalidBody(f"The body is not valid JSON: {constant} is not a number.")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise _InvalidBody("The body names a field twice.")
    return document


_DECODER = json.JSONDecoder(
    # Decimal keeps 0.1 exact; a float would not.
    parse_float=Decimal,
    parse_constant=_not_a_number,
    object_pairs_hook=_object_without_duplicates,
)
