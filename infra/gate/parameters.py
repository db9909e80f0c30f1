"""What AWS is known to refuse in the parameters of a call: by its models and by the rule book."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.gate.calls import CALLS, Blocks
from infra.gate.models import Refusal, input_shape, refusals
from infra.gate.values import Rule, broken, rules


def refused(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterator[Refusal]:
    """The member of a call's parameters that AWS refuses, and why.

    Raises:
        LookupError: the service has no such operation, or there is no such service.
    """
    shape = input_shape(service, operation)
    if shape:
        yield from refusals(shape, parameters)
    for member, rule in _rules(f"{service}:{operation}"):
        for value in _values(parameters, member.split(".")):
            if rule.broken_by(value):
                yield member, f"{value!r}: {rule.advice} ({rule.source})"
    for blocks, rule in _block_rules(f"{service}:{operation}"):
        for item in _values(parameters, [blocks.member]):
            values = {own: item[name] for own, name in blocks.names.items() if name in item}
            yield from ((blocks.member, reason) for reason in broken(rule, values, {}))


@functools.cache
def _rules(operation: str) -> Sequence[tuple[str, Rule]]:
    """The rules for the operation that creates a type of resource, by the members' names."""
    found = []
    for rule in rules():
        calls = CALLS.get(rule.resource)
        # A rule about two attributes is for plans.
        if calls and calls.operation == operation and not (rule.where or rule.block):
            first, *rest = rule.attribute.split(".")
            names = [(calls.names or {}).get(first) or first, *rest]
            found.append((".".join(name.replace("_", "") for name in names), rule))
    return found


@functools.cache
def _block_rules(operation: str) -> Sequence[tuple[Blocks, Rule]]:
    """The rules for the blocks that an operation takes."""
    return [
        (blocks, rule)
        for rule in rules()
        if rule.block and (blocks := CALLS[rule.resource].blocks[rule.block]).operation == operation
    ]


def _values(parameters: Any, path: Sequence[str]) -> Iterator[Any]:
    """The values at a path of names, of which neither case nor lists matter."""
    if isinstance(parameters, (list, tuple)):
        for item in parameters:
            yield from _values(item, path)
    elif not path:
        yield parameters
    elif isinstance(parameters, Mapping):
        for name, value in parameters.items():
            if name.lower() == path[0].lower():
                yield from _values(value, path[1:])
