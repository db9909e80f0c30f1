"""CloudFormation's recorded work on resources: the calls that its handlers make for it, judged.

The registry's schemas name the actions of each handler, and `handlers.toml` the resources.
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from certify.authorization import Answer, answer
from certify.recording import Check, Work, role_of
from certify.references import applies, resource_formats
from certify.template import assumed_needless, handler_calls

_INVOKE = "lambda:InvokeFunction"
_RESOURCES = Path(__file__).with_name("handlers.toml")


def denied(work: Work) -> Iterator[str]:
    """What the deployer may not do that CloudFormation does in their name."""
    for check in checks(work):
        found = answer(check, work.identity, work.boundary)
        if check.resource and found is not Answer.ALLOWED:
            who = role_of(work.caller)
            yield f"{who} may not {check.action} on {check.resource}: {found.value}"


def checks(work: Work) -> Iterator[Check]:
    """What IAM is asked about the work; the resource is empty if nobody knows it."""
    for action in sorted(_actions(work)):
        for resource in resources(work, action) or [""]:
            yield Check(action, resource, _context(work))


def unknown(work: Work) -> Iterator[str]:
    """The actions of which nobody knows the resource."""
    for check in checks(work):
        if not check.resource:
            yield check.action


def resources(work: Work, action: str) -> Sequence[str]:
    """The ARNs of the resources that an action of a handler is for; empty if they are not known."""
    if resource_formats(action) == ("*",):
        return ["*"]
    known = _known().get(work.type, {})
    if found := known.get("at", {}).get(action):
        return [arn for pattern in found for arn in _arns(pattern, work)]
    arns = [arn for pattern in known.get("resources", ()) for arn in _arns(pattern, work)]
    return [arn for arn in arns if applies(action, arn)]


def unplaced(type_: str) -> Sequence[str]:
    """The actions of a type's handlers of which nobody knows the resource, whatever it is."""
    known = _known().get(type_, {})
    paths = [pattern.replace("{Path}", "/x/") for pattern in known.get("resources", ())]
    examples = ["arn:aws:" + re.sub(r"\{[\w.]+\}", "x", pattern) for pattern in paths]
    needless = assumed_needless().get(type_, {}).keys()
    return [
        action
        for action in sorted(handler_calls(type_) - needless - known.get("at", {}).keys())
        if resource_formats(action) != ("*",) and not any(applies(action, e) for e in examples)
    ]


def _actions(work: Work) -> frozenset[str]:
    if work.type.startswith("Custom::"):
        return frozenset({_INVOKE})
    # CloudFormation reads what it has made or changed.
    verbs = (work.verb, "read") if work.verb != "delete" else (work.verb,)
    return handler_calls(work.type, *verbs) - assumed_needless().get(work.type, {}).keys()


def _context(work: Work) -> Mapping[str, Any]:
    service = _known().get(work.type, {}).get("service", "")
    found = {
        "aws:principalarn": work.caller,
        "aws:principalaccount": _account(work),
        "aws:requestedregion": work.region,
        "aws:resourcetag/aws:cloudformation:stack-name": work.stack,
        "iam:passedtoservice": service,
        "iam:permissionsboundary": work.properties.get("PermissionsBoundary"),
    }
    return {key: value for key, value in found.items() if value}


def _arns(pattern: str, work: Work) -> Iterator[str]:
    """The ARNs of a pattern; none if the resource has no such property, several for a list."""
    # A queue's id is its URL.
    id_ = work.id.rpartition("/")[2] if work.id.startswith("http") else work.id
    known = {"region": work.region, "account": _account(work), "id": id_}
    names = re.findall(r"\{([\w.]+)\}", pattern)
    lists: list[list[str]] = [[]]
    for name in names:
        value = known.get(name) or _property(work.properties, name.split("."))
        values = value if isinstance(value, list) else [value] if value else []
        lists = [[*chosen, str(item)] for chosen in lists for item in values]
    for chosen in lists:
        filled = pattern
        for name, value in zip(names, chosen, strict=True):
            filled = filled.replace(f"{{{name}}}", value)
        # A property may be a whole ARN.
        yield "arn:aws:" + filled.rpartition("arn:aws:")[2]


def _property(properties: Any, path: Sequence[str]) -> Any:
    for name in path:
        properties = properties.get(name) if isinstance(properties, Mapping) else None
    return properties


def _account(work: Work) -> str:
    return work.caller.split(":")[4]


@functools.cache
def _known() -> Mapping[str, Any]:
    return tomllib.loads(_RESOURCES.read_text())
