"""What AWS's service models, which botocore includes, refuse in the parameters of a call.

Before botocore sends a request, it checks required members, types and minimum lengths only. This
module also checks enumerations, patterns and the other bounds.
https://smithy.io/2.0/spec/constraint-traits.html
"""

import functools
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

# A member of parameters and what is wrong with it.
Refusal = tuple[str, str]
# What stands for a value that a model marks as sensitive, such as a password.
HIDDEN = "(hidden)"
REQUIRED, UNKNOWN = "it is required", "there is no such parameter"

_TYPES: Mapping[str, tuple[type, ...]] = {
    "structure": (Mapping,),
    "map": (Mapping,),
    "list": (list, tuple),
    "string": (str,),
    "character": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float, Decimal),
    "double": (int, float, Decimal),
}
# The models use Java's character classes; these are Python's closest equivalents.
_CLASSES = {
    r"\p{L}": r"a-zA-Z\u00aa-\uffdc",
    r"\p{M}": r"\u0300-\u036f",
    r"\p{Z}": r"\s",
    r"\p{N}": r"\d",
    r"\p{S}": r"$+<=>^`|~\u00a2-\u00b4",
    r"\p{P}": r"!-/:-@\[-`{-~",
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\p{Graph}": "!-~",
    r"\p{Print}": " -~",
    r"\p{ASCII}": r"\x00-\x7f",
}


@functools.cache
def service_model(service: str) -> ServiceModel:
    """The model of a service, by botocore's name of it.

    Raises:
        LookupError: botocore knows no such service.
    """
    try:
        return ServiceModel(Loader().load_service_model(service, "service-2"), service)
    except UnknownServiceError:
        raise LookupError(service) from None


def input_shape(service: str, operation: str) -> Shape | None:
    """The shape of an operation's parameters; None if it has none.

    Raises:
        LookupError: the service has no such operation, or there is no such service.
    """
    model = service_model(service)
    if operation not in model.operation_names:
        raise LookupError(f"{service}:{operation}")
    shape: Shape | None = model.operation_model(operation).input_shape
    return shape


def refusals(shape: Any, value: Any, name: str = "", *, whole: bool = True) -> Iterator[Refusal]:
    """What the model refuses in a value: the member, as in `Tags[0].Key`, and why.

    With `whole=False`, members may be absent: those that only an apply will know.
    """
    kind = shape.type_name
    types: Any = _TYPES.get(kind, object)
    # To Python, a boolean is a number.
    is_other = isinstance(value, bool) and kind in ("integer", "long", "float", "double")
    if is_other or not isinstance(value, types):
        yield name, f"{value!r} is not a {kind}"
        return
    if kind == "structure":
        yield from _members(shape, value, name, whole=whole)
    elif kind == "list":
        yield from _bounds(shape, len(value), name, "items")
        for number, item in enumerate(value):
            yield from refusals(shape.member, item, f"{name}[{number}]", whole=whole)
    elif kind == "map":
        yield from _bounds(shape, len(value), name, "entries")
        for key, item in value.items():
            yield from refusals(shape.key, key, f"{name}[{key!r}]", whole=whole)
            yield from refusals(shape.value, item, f"{name}[{key!r}]", whole=whole)
    elif kind == "string":
        yield from _text(shape, value, name)
    elif kind in ("integer", "long", "float", "double"):
        yield from _bounds(shape, value, name)


def _members(shape: Any, value: Mapping[str, Any], name: str, *, whole: bool) -> Iterator[Refusal]:
    prefix = f"{name}." if name else ""
    for required in shape.required_members if whole else ():
        if required not in value:
            yield f"{prefix}{required}", REQUIRED
    for member, item in value.items():
        if member not in shape.members:
            yield f"{prefix}{member}", UNKNOWN
        elif item is not None:
            yield from refusals(shape.members[member], item, f"{prefix}{member}", whole=whole)


def _bounds(shape: Shape, size: Any, name: str, unit: str = "") -> Iterator[Refusal]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    what = f"{size} {unit}" if unit else str(size)
    if least is not None and size < least:
        yield name, f"{what} is less than {least}"
    if most is not None and size > most:
        yield name, f"{what} is more than {most}"


def _text(shape: Any, value: str, name: str) -> Iterator[Refusal]:
    yield from _bounds(shape, len(value), name, "characters")
    shown = HIDDEN if shape.metadata.get("sensitive") else repr(value)
    if shape.enum and value not in shape.enum:
        yield name, f"{shown} is none of {', '.join(shape.enum)}"
    pattern = compiled(shape.metadata.get("pattern", ""))
    if pattern and not pattern.search(value):
        yield name, f"{shown} does not match {shape.metadata['pattern']}"


@functools.cache
def compiled(pattern: str) -> re.Pattern[str] | None:
    """A pattern of the models in Python's words; None if there is none, or Python cannot read it.

    AWS compares the whole value, with or without anchors.
    """
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    try:
        return re.compile(rf"\A(?:{pattern})\Z") if pattern else None
    except re.error:
        return None
