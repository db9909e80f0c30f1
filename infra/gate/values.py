"""Which values of a plan AWS is known to refuse, by its service models and by the rule book."""

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.gate.calls import CALLS
from infra.gate.changes import Plan, Values, plan_changes
from infra.gate.models import input_shape, refusals
from infra.gate.obstacles import Obstacle

_EMPTY: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True)
class Rule:
    """A rule for one attribute of a type of resource that AWS's models do not state.

    A value must satisfy those of `pattern`, `never`, `least`, `most`, `among` and `length` that are
    given; in a list, each item must. `advice` says what to do, and `source` is AWS's own page.
    With `where`, the rule holds only if another attribute has a value like the pattern. With
    `block`, the rule is for each of these blocks, and `attribute` and `where` are in the block.
    """

    resource: str
    attribute: str
    advice: str
    source: str
    pattern: str = ""
    never: str = ""
    least: float | None = None
    most: float | None = None
    among: Sequence[Any] = ()
    length: int | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    block: str = ""

    def broken_by(self, value: Any) -> bool:
        """Whether AWS is known to refuse the value."""
        if isinstance(value, (list, tuple)):
            return any(map(self.broken_by, value))
        text = str(value)
        if self.least is not None or self.most is not None:
            try:
                number = float(value)
            except (TypeError, ValueError):
                return False
            return not (self.least or 0) <= number <= (self.most or float("inf"))
        return bool(
            (self.pattern and not re.fullmatch(self.pattern, text))
            or (self.never and re.fullmatch(self.never, text))
            or (self.among and value not in self.among)
            or (self.length is not None and len(text) > self.length)
        )


def refused(plan: Plan) -> Iterator[Obstacle]:
    """The address of each resource of a plan with a value that AWS refuses, and why.

    AWS has accepted what a change in place leaves as it is. Terraform's state has 0 for some
    numbers that nobody has given.
    """
    for change in plan_changes(plan):
        if change.action in ("add", "change", "replace"):
            kept = change.before if change.action == "change" else {}
            reasons = [
                *refused_by_model(change.type, change.after, kept),
                *refused_by_rules(change.type, change.after, kept),
            ]
            yield from ((change.address, reason) for reason in reasons)


def refused_by_rules(resource: str, values: Values, kept: Values) -> Iterator[str]:
    """What the rule book says against the values of a type of resource, except those in `kept`."""
    for rule in rules():
        if rule.resource != resource:
            continue
        before = list(_parts(rule, kept))
        for part in _parts(rule, values):
            # A block that stays as it is stands anywhere among the others.
            if not rule.block or part not in before:
                yield from broken(rule, part, {} if rule.block else kept)


def _parts(rule: Rule, values: Values) -> Iterator[Values]:
    """What a rule is about: each block of its kind, or the resource."""
    if not rule.block:
        yield values
    for blocks in _values(values, [rule.block]):
        yield from blocks or ()


def broken(rule: Rule, values: Values, kept: Values) -> Iterator[str]:
    """What a rule says against values, except those in `kept`."""
    if not _holds(rule, values):
        return
    path = rule.attribute.split(".")
    accepted = (*_EMPTY, *_values(kept, path))
    name = f"{rule.block}.{rule.attribute}" if rule.block else rule.attribute
    for value in _values(values, path):
        if value not in accepted and rule.broken_by(value):
            yield f"{name} is {value!r}: {rule.advice} ({rule.source})"


def refused_by_model(resource: str, values: Values, kept: Values) -> Iterator[str]:
    """What the model of the operation that creates a type of resource refuses in its values.

    Only values are judged whose parameter has their name; nested blocks differ too much. Those in
    `kept` are not judged.
    """
    calls = CALLS.get(resource)
    if calls is None:
        return
    service, _, operation = calls.operation.partition(":")
    members = getattr(input_shape(service, operation), "members", {})
    by_name = {member.lower(): member for member in members}
    for attribute, value in values.items():
        name = (calls.names or {}).get(attribute, attribute.replace("_", ""))
        member = by_name.get(name.lower())
        if member is None or value in (*_EMPTY, kept.get(attribute)) or _is_nested(value):
            continue
        for where, why in refusals(members[member], value, attribute):
            yield f"{where}: {why} ({service} {operation}, {member})"


def _holds(rule: Rule, values: Mapping[str, Any]) -> bool:
    """Whether a rule is about such values."""
    return all(
        any(re.fullmatch(pattern, str(value)) for value in _values(values, attribute.split(".")))
        for attribute, pattern in rule.where.items()
    )


def _is_nested(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, dict) for item in items)


def _values(values: Any, path: Sequence[str]) -> Iterator[Any]:
    """The values at a path through blocks, of which there may be several."""
    if not path:
        yield values
    elif isinstance(values, (list, tuple)):
        for item in values:
            yield from _values(item, path)
    elif isinstance(values, Mapping) and path[0] in values:
        yield from _values(values[path[0]], path[1:])


@functools.cache
def rules() -> tuple[Rule, ...]:
    """The rule book."""
    document = tomllib.loads(Path(__file__).with_name("rules.toml").read_text())
    return tuple(
        Rule(**{**rule, "resource": resource})
        for rule in document["rule"]
        for resource in (
            rule["resource"] if isinstance(rule["resource"], list) else [rule["resource"]]
        )
    )
