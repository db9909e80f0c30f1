"""Whether policies allow a request: IAM's evaluation of identity policies and boundaries.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.policies.statements import Document

ALLOWED, IMPLICIT_DENY, EXPLICIT_DENY = "allowed", "implicitDeny", "explicitDeny"


@dataclass(frozen=True)
class Access:
    """A request: the action, the ARN of the resource, and condition keys with their values.

    The names of condition keys are compared without regard to case.
    """

    action: str
    resource: str
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


def decision(access: Access, policies: Iterable[Document], boundary: Document | None = None) -> str:
    """`ALLOWED`, `IMPLICIT_DENY` or `EXPLICIT_DENY` for a request under policies and a boundary.

    Raises:
        ValueError: a policy has an operator of conditions that is not known here.
    """
    policies = list(policies)
    limits = [policies, *([[boundary]] if boundary else [])]
    if any(_matches(access, s) for found in limits for s in _statements(found, "Deny")):
        return EXPLICIT_DENY
    if all(any(_matches(access, s) for s in _statements(found, "Allow")) for found in limits):
        return ALLOWED
    return IMPLICIT_DENY


def _statements(policies: Iterable[Document], effect: str) -> list[Mapping[str, Any]]:
    return [
        statement
        for policy in policies
        for statement in _listed(policy["Statement"])
        if statement["Effect"] == effect
    ]


def _matches(access: Access, statement: Mapping[str, Any]) -> bool:
    return (
        _names(statement, "Action", access.action, fold=True)
        and _names(statement, "Resource", access.resource)
        and all(
            _holds(operator, key, _listed(expected), access.context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def _names(statement: Mapping[str, Any], element: str, value: str, *, fold: bool = False) -> bool:
    """Whether an element, such as `Action`, or its opposite, `NotAction`, has the value."""
    if element in statement:
        return any(_like(value, pattern, fold=fold) for pattern in _listed(statement[element]))
    opposite = _listed(statement.get(f"Not{element}", []))
    return not any(_like(value, pattern, fold=fold) for pattern in opposite)


def _holds(operator: str, key: str, expected: Sequence[Any], context: Mapping[str, Any]) -> bool:
    """Whether one condition holds.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    given = next((v for k, v in context.items() if k.lower() == key.lower()), None)
    quantity, _, name = operator.rpartition(":")
    if name == "Null":
        return (given is None) == (str(expected[0]).lower() == "true")
    optional = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = "Not" in name
    compare = _COMPARISONS.get(name.replace("Not", ""))
    if compare is None:
        raise ValueError(f"{operator}: there is no such condition operator")
    if given is None:
        # A missing key fails a condition, but not a negated one, nor one for all values.
        return optional or negated or quantity == "ForAllValues"
    found = [
        any(compare(str(value), str(pattern)) for pattern in expected) != negated
        for value in _listed(given)
    ]
    return all(found) if quantity == "ForAllValues" else any(found)


def _same(value: str, expected: str) -> bool:
    return value == expected


def _same_folded(value: str, expected: str) -> bool:
    return value.lower() == expected.lower()


def _like(value: str, pattern: str, *, fold: bool = False) -> bool:
    return _compiled(pattern, fold).fullmatch(value) is not None


@functools.cache
def _compiled(pattern: str, fold: bool) -> re.Pattern[str]:
    words = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(words, re.DOTALL | (re.IGNORECASE if fold else 0))


_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": _same,
    "StringEqualsIgnoreCase": _same_folded,
    "StringLike": _like,
    "ArnEquals": _like,
    "ArnLike": _like,
    "Bool": _same_folded,
}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
