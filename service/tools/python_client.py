"""The typed operations of the Python client, made from the OpenAPI document.

`make openapi` writes them to `client/trading_client/operations.py`. A test compares the committed
file with what this makes. docs/decisions/0008-generated-client.md says why no public generator does
it.
"""

import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from service.tools.openapi import document

FILE = Path(__file__).parents[2] / "client" / "trading_client" / "operations.py"
PROJECT = FILE.parents[1] / "pyproject.toml"

_PLAIN_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_HEAD = '''"""The operations of the trade API {version}: made by `make openapi`; do not edit."""

from __future__ import annotations

{imports}from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NotRequired, TypedDict, cast
from urllib.parse import quote
'''
_CLASS = '''class Operations(ABC):
    """One method for each operation of the API. A subclass sends the requests."""

    @abstractmethod
    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: object = None,
    ) -> Any:
        """Send a request and return the document of its answer."""
'''


class _Parameter(NamedTuple):
    """A parameter of an operation: its name in the API and in Python, and its type."""

    place: str
    name: str
    python: str
    type: str
    required: bool
    description: str


class _Types:
    """Python's types for the document's schemas. Objects become TypedDicts."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas
        self.definitions: dict[str, str] = {}
        for name, schema in schemas.items():
            self._define(name, schema)

    def of(self, schema: Mapping[str, Any], name: str) -> str:
        """The type of a schema; `name` is for the object in it that has no name of its own.

        Raises:
            ValueError: the schema has a form that this does not know.
        """
        match schema:
            case {"$ref": str(reference)}:
                found = reference.rpartition("/")[2]
            case {"oneOf": list(choices)}:
                found = " | ".join(self.of(choice, name) for choice in choices)
            case {"enum": list(values)}:
                found = f"Literal[{', '.join(map(repr, values))}]"
            case {"type": "array", "items": items}:
                found = f"list[{self.of(items, name.removesuffix('s'))}]"
            case {"type": "object", "properties": _}:
                self._define(name, schema)
                found = name
            case {"type": plain} if plain in _PLAIN_TYPES:
                found = _PLAIN_TYPES[plain]
            case _:
                raise ValueError(f"{name}: no type in Python is known for {schema}")
        return f"{found} | None" if schema.get("nullable") else found

    def schema(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """A schema, or the one that it refers to."""
        if "$ref" in schema:
            found: Mapping[str, Any] = self._schemas[schema["$ref"].rpartition("/")[2]]
            return found
        return schema

    def _define(self, name: str, schema: Mapping[str, Any]) -> None:
        fields, notes = [], []
        for field, its in schema["properties"].items():
            if not field.isidentifier() or keyword.iskeyword(field):
                raise ValueError(f"{name}: the field {field!r} cannot be a name in Python")
            type_ = self.of(its, _class_name(field))
            required = field in schema.get("required", ())
            fields.append(f"    {field}: {type_ if required else f'NotRequired[{type_}]'}")
            if "description" in its:
                notes += _wrapped(f"{field}: {its['description']}", "    ")
        heading = schema.get("description", f"The object `{name}` of the API.")
        text = [f'    """{heading}', *([""] if notes else []), *notes, '    """']
        definition = "\n".join([f"class {name}(TypedDict):", *text, "", *fields])
        if self.definitions.setdefault(name, definition) != definition:
            raise ValueError(f"two schemas would have the name {name}")


def render(api: Mapping[str, Any]) -> str:
    """The module for an OpenAPI document, formatted by ruff.

    Raises:
        ValueError: the document has something that the generator does not know.
    """
    types = _Types(api["components"]["schemas"])
    methods = [
        method
        for path, item in api["paths"].items()
        for verb, operation in item.items()
        if verb != "parameters"
        for method in _methods(path, verb, operation, item.get("parameters", ()), types)
    ]
    imports = "import time\n" if any("time.sleep" in method for method in methods) else ""
    parts = [
        _HEAD.format(version=api["info"]["version"], imports=imports),
        *types.definitions.values(),
        "\n".join([_CLASS, *methods]),
    ]
    command = (sys.executable, "-m", "ruff", "format", f"--stdin-filename={FILE}", "-")
    finished = subprocess.run(
        command, input="\n\n".join(parts), capture_output=True, text=True, check=True
    )
    return finished.stdout


def _methods(
    path: str,
    verb: str,
    operation: Mapping[str, Any],
    shared: Sequence[Mapping[str, Any]],
    types: _Types,
) -> Iterator[str]:
    """The method of an operation and, if it answers with pages, one that goes through them."""
    identity = operation["operationId"]
    parameters = [_parameter(each, types) for each in (*shared, *operation.get("parameters", ()))]
    if "requestBody" in operation:
        schema = _schema(operation["requestBody"])
        body = types.of(schema, f"{_class_name(identity)}Body")
        parameters.append(_Parameter("body", "body", "body", body, True, ""))
    answer_schema = _schema(operation["responses"]["200"])
    answer = types.of(answer_schema, f"{_class_name(identity)}Answer")
    name = method_name(identity)
    described = " ".join(operation.get("description", "").split())
    yield "\n".join(
        [
            _signature(name, parameters, answer),
            _docstring(operation["summary"], described, parameters),
            f"        return cast({answer!r}, self.call({_arguments(path, verb, parameters)}))",
            "",
        ]
    )
    found = types.schema(answer_schema).get("properties", {})
    if "next_cursor" in found:
        (items,) = (field for field, its in found.items() if its.get("type") == "array")
        item = types.of(found[items], _class_name(items)).removeprefix("list[").removesuffix("]")
        # A list's last page has no cursor. A feed has no last page.
        is_feed = "next_cursor" in types.schema(answer_schema)["required"]
        yield (_feed if is_feed else _pages)(name, items, item, parameters)


def _pages(name: str, items: str, item: str, parameters: Sequence[_Parameter]) -> str:
    """The method that goes through a list to its end."""
    parameters = [each for each in parameters if each.name != "cursor"]
    passed = "".join(f"{each.python}={each.python}, " for each in parameters)
    return "\n".join(
        [
            _signature(f"iter_{name.partition('_')[2]}", parameters, f"Iterator[{item}]"),
            _docstring(f"Go through all pages of `{name}`.", "", parameters),
            "        cursor: str | None = None",
            "        while True:",
            f"            page = self.{name}({passed}cursor=cursor)",
            f'            yield from page["{items}"]',
            '            cursor = page.get("next_cursor")',
            "            if cursor is None:",
            "                return",
            "",
        ]
    )


def _feed(name: str, items: str, item: str, parameters: Sequence[_Parameter]) -> str:
    """The method that follows a feed for as long as the caller wants."""
    # A place is a cursor or a time, never both.
    passed = "".join(
        f"{each.python}={'None if cursor else ' if each.name == 'from' else ''}{each.python}, "
        for each in parameters
    )
    pause = "Seconds to wait after a page without anything new."
    own = _Parameter("query", "", "pause_seconds", "float", True, pause)
    signature = _signature(
        f"follow_{name.partition('_')[2]}", [*parameters, own], f"Iterator[{item}]"
    )
    return "\n".join(
        [
            signature.replace("*, pause_seconds: float", "*, pause_seconds: float = 1"),
            _docstring(
                f"Follow `{name}`, endlessly.",
                "Store the `cursor` of what you have processed, to go on from there later.",
                [own, *parameters],
            ),
            "        while True:",
            f"            page = self.{name}({passed})",
            f'            yield from page["{items}"]',
            '            cursor = page["next_cursor"]',
            f'            if not page["{items}"]:',
            "                time.sleep(pause_seconds)",
            "",
        ]
    )


def _signature(name: str, parameters: Sequence[_Parameter], answer: str) -> str:
    positional = [
        f"{each.python}: {each.type}" for each in parameters if each.place in ("path", "body")
    ]
    named = [
        f"{each.python}: {each.type}{'' if each.required else ' | None = None'}"
        for each in sorted(parameters, key=lambda each: not each.required)
        if each.place in ("query", "header")
    ]
    arguments = ", ".join(["self", *positional, *(["*", *named] if named else [])])
    return f"    def {name}({arguments}) -> {answer}:"


def _docstring(summary: str, described: str, parameters: Sequence[_Parameter]) -> str:
    arguments = [
        line
        for each in parameters
        if each.description
        for line in _wrapped(f"{each.python}: {each.description}", " " * 12)
    ]
    lines = [
        f'        """{summary}',
        *(["", *_wrapped(described, " " * 8, "")] if described else []),
        *(["", "        Args:", *arguments] if arguments else []),
    ]
    return f'{lines[0]}"""' if len(lines) == 1 else "\n".join([*lines, '        """'])


def _arguments(path: str, verb: str, parameters: Sequence[_Parameter]) -> str:
    for each in parameters:
        if each.place == "path":
            path = path.replace(f"{{{each.name}}}", f"{{quote({each.python}, safe='')}}")
    given = [f'"{verb.upper()}"', f'{"f" if "{" in path else ""}"{path}"']
    for place, argument in (("query", "query"), ("header", "headers")):
        named = [f'"{each.name}": {each.python}' for each in parameters if each.place == place]
        if named:
            given.append(f"{argument}={{{', '.join(named)}}}")
    if any(each.place == "body" for each in parameters):
        given.append("body=body")
    return ", ".join(given)


def _parameter(each: Mapping[str, Any], types: _Types) -> _Parameter:
    python = method_name(each["name"].replace("-", "_"))
    if keyword.iskeyword(python):
        python += "_"
    description = each.get("description") or each["schema"].get("description", "")
    type_ = types.of(each["schema"], _class_name(each["name"]))
    return _Parameter(each["in"], each["name"], python, type_, each["required"], description)


def _schema(message: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = message["content"]["application/json"]["schema"]
    return schema


def method_name(name: str) -> str:
    """An operation's ID as the name of a method."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _class_name(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[_-]", name))


def _wrapped(text: str, indent: str, hanging: str = "    ") -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=indent, subsequent_indent=indent + hanging)


def render_project(api: Mapping[str, Any], text: str) -> str:
    """The text of the package's `pyproject.toml` with the version of the API."""
    version = api["info"]["version"]
    return re.sub(r'(?m)^version = "[^"]*"', f'version = "{version}"', text, count=1)


def main() -> None:
    """Write the module, and the package's version."""
    api = document()
    FILE.write_text(render(api))
    PROJECT.write_text(render_project(api, PROJECT.read_text()))


if __name__ == "__main__":
    main()
