"""Typed settings: frozen dataclasses whose fields say which values they take.

A field is a `bool`, an `int`, a `float`, a `str`, a tuple of strings, a `Literal` of choices, or
another dataclass (a section). `Annotated` with one of the rules below narrows it. `override`
replaces fields by what a TOML file says, and refuses everything else in one line.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from shared.cli.errors import UserError

T = TypeVar("T")

FIXED = {"fixed": True}


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both included."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"from {self.low} to {self.high}"


@dataclass(frozen=True)
class Matching:
    """A text that matches a pattern as a whole; `words` describe it to people."""

    pattern: str
    words: str

    def __contains__(self, value: str) -> bool:
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return f"as in {self.words}"


@dataclass(frozen=True)
class OneOf:
    """One of the given values."""

    values: Collection[Any]

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return f"one of {', '.join(str(value) for value in self.values)}"


_KINDS: Mapping[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
    tuple: ((list,), "a list of texts"),
}


def override(defaults: T, table: Any, where: str) -> T:
    """`defaults`, a dataclass, with the fields that `table` names replaced.

    A field whose metadata are `FIXED` is not a file's to set.

    A section may forbid combinations: its `__post_init__` raises a ValueError that starts with the
    key's name. It may also have a method `idle_keys`, which maps each key that has no effect to the
    reason; a file that sets one is refused, for its author expects something else.

    `where` starts each complaint: a file's name and the section.

    Raises:
        UserError: a key is unknown or idle, or a value has the wrong type or is not allowed.
    """
    if not isinstance(table, Mapping):
        raise UserError(f"{where.rstrip('.')} {table!r}: make it a section")
    hints = get_type_hints(type(defaults), include_extras=True)
    known = [field.name for field in fields(defaults) if field.metadata != FIXED]  # type: ignore[arg-type]
    changes = {}
    for key, value in table.items():
        if key not in known:
            raise UserError(f"{where}{key}: there is no such key; use one of {', '.join(known)}")
        current = getattr(defaults, key)
        if is_dataclass(current):
            changes[key] = override(current, value, f"{where}{key}.")
        else:
            changes[key] = _checked(hints[key], value, f"{where}{key}")
    try:
        changed: T = replace(defaults, **changes)  # type: ignore[type-var]
    except ValueError as error:
        raise UserError(f"{where}{error}") from None
    for key, reason in getattr(changed, "idle_keys", dict)().items():
        if key in table:
            raise UserError(f"{where}{key}: leave it out: {reason}")
    return changed


def _checked(hint: Any, value: Any, where: str) -> Any:
    rules: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *found = get_args(hint)
        rules = tuple(found)
    if get_origin(hint) is Literal:
        rules = (OneOf(get_args(hint)),)
        hint = type(get_args(hint)[0])
    hint = get_origin(hint) or hint
    types, words = _KINDS[hint]
    # Of a choice, the choices say all.
    choice = any(isinstance(rule, OneOf) for rule in rules) and hint is not tuple
    expected = " ".join([*([] if choice else [words]), *(str(rule) for rule in rules)])
    # To Python, true is a number as well.
    fits = isinstance(value, types) and isinstance(value, bool) == (hint is bool)
    items = value if isinstance(value, list) else [value]
    if isinstance(value, list):
        fits = fits and all(isinstance(item, str) for item in items)
    if not fits or not all(item in rule for rule in rules for item in items):
        raise UserError(f"{where} {value!r}: use {expected}")
    return tuple(value) if isinstance(value, list) else value
