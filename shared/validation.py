"""Sections of files that people edit: pydantic checks them, and the first mistake is one line."""

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import core_schema

from shared.cli.errors import UserError


class Section(BaseModel):
    """Options that belong together.

    A section forbids combinations with a validator whose ValueError starts with the key's name.
    """

    # Strict: `readers = "2"` is a mistake.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def idle_keys(self) -> Mapping[str, str]:
        """The keys that have no effect, each with the reason.

        A file that sets one is refused, because its author expects an effect.
        """
        return {}


S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class OneOf:
    """Narrows a type to some of its values; for values that `Literal` cannot spell out."""

    values: Collection[Any]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        # The type comes first: to a literal alone, true equals 1.
        return core_schema.chain_schema(
            [handler(source), core_schema.literal_schema([*self.values])]
        )

    def __get_pydantic_json_schema__(self, *_: Any) -> dict[str, Any]:
        return {"enum": [*self.values]}


def read_section(model: type[S], table: Any, where: str) -> S:
    """The section that `table` describes. `where` starts each complaint: a file and a key.

    Raises:
        UserError: a key is unknown, or a value has the wrong type or is not allowed.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        # One mistake at a time: the next run shows the next one.
        first = error.errors(include_url=False)[0]
    keys = [key for key in first["loc"] if isinstance(key, str)]
    key = f"{where}{'.'.join(keys)}"
    value: Any = table
    owner: type[BaseModel] = model
    for name in keys[:-1]:
        owner, value = owner.model_fields[name].annotation or owner, value[name]
    match first["type"]:
        case "extra_forbidden":
            raise UserError(f"{key}: there is no such key; {suggest(keys[-1], owner.model_fields)}")
        case "value_error":
            raise UserError(f"{key}{'.' if keys else ''}{first['ctx']['error']}")
        case "missing":
            raise UserError(f"{key}: it is missing; use {_words(_allowed(owner, keys[-1]))}")
        case "model_type" | "dict_type":
            raise UserError(f"{key.rstrip('.')} {first['input']!r}: make it a section")
    given = value[keys[-1]]
    shown = f"'{given}'" if isinstance(given, date) else repr(given)
    raise UserError(f"{key} {shown}: use {_words(_allowed(owner, keys[-1]))}")


def refuse_idle_keys(section: Section, keys: Collection[str], where: str) -> None:
    """Do nothing if all the keys that a file sets have an effect.

    Raises:
        UserError: one has none; the text says why.
    """
    for key, reason in section.idle_keys().items():
        if key in keys:
            raise UserError(f"{where}{key}: remove it, because {reason}")


def suggest(word: str, choices: Collection[str]) -> str:
    """What a person who wrote `word` may have meant, or else all that is possible."""
    near = difflib.get_close_matches(word, choices, n=1)
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(choices)}"


def _allowed(owner: type[BaseModel], key: str) -> Mapping[str, Any]:
    """The JSON schema of a key's value, if there is one."""
    schema: Mapping[str, Any] = owner.model_json_schema()["properties"][key]
    return next(iter(schema.get("anyOf", [schema])))


def _words(schema: Mapping[str, Any]) -> str:
    """What a value's JSON schema allows, for people."""
    if "description" in schema:
        return f"{schema['description']}, as in {schema['examples'][0]}"
    if "enum" in schema:
        return f"one of {', '.join(str(value) for value in schema['enum'])}"
    if schema["type"] == "array":
        return f"a list, each item {_words(schema['items'])}"
    words = {
        "boolean": "true or false",
        "integer": "a whole number",
        "number": "a number",
        "string": "a text",
    }[schema["type"]]
    if "minimum" in schema:
        words += f" from {schema['minimum']} to {schema['maximum']}"
    if "multipleOf" in schema:
        words += f" in steps of {schema['multipleOf']}"
    return f"{words} as in {schema['examples'][0]}" if "examples" in schema else words
