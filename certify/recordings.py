"""The judgement on recordings: each call and each work of CloudFormation, by who does it."""

import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path

from certify import calls, handlers
from certify.documents import Findings
from certify.recording import Call, Work, role_of
from certify.references import resource_formats

# What CloudFormation adds to the names of roles.
_SUFFIX = re.compile(r"-?[0-9A-F]{12,14}$")
_OWNER = "owner"
_DENIED = Path(__file__).with_name("denied.toml")


def judged(records: Iterable[Call | Work]) -> list[Findings]:
    """Findings for each caller in a recording, whose calls are all judged."""
    found: dict[str, Findings] = {}
    for record in records:
        who = _SUFFIX.sub("", role_of(record.caller))
        heading = f"CloudFormation for {who}" if isinstance(record, Work) else who
        own = found.setdefault(heading, Findings(heading))
        own.judged += 1
        own.refused += _refused(record)
        own.assumed += _assumed(record)
    for own in found.values():
        own.refused, own.assumed = sorted(set(own.refused)), sorted(set(own.assumed))
    return [found[heading] for heading in sorted(found)]


def _refused(record: Call | Work) -> Iterator[str]:
    if isinstance(record, Work):
        if record.identity:
            yield from handlers.denied(record)
        return
    # A call that failed has done no harm, but what a role tries it should be allowed.
    if record.succeeded:
        yield from calls.refused(record)
    if record.identity and not meant(record):
        yield from calls.denied(record)


def meant(record: Call) -> str:
    """Why a call is denied as it is meant, empty if it is not."""
    if record.status != HTTPStatus.FORBIDDEN:
        return ""
    return next(
        (
            denial["reason"]
            for denial in _denials()
            for check in record.checks
            if check.action == denial["action"] and fnmatchcase(check.resource, denial["resource"])
        ),
        "",
    )


@functools.cache
def _denials() -> Sequence[Mapping[str, str]]:
    found: list[Mapping[str, str]] = tomllib.loads(_DENIED.read_text())["denial"]
    return found


def _assumed(record: Call | Work) -> Iterator[str]:
    if role_of(record.caller) == _OWNER:
        yield "the account's own credentials may do everything"
    elif isinstance(record, Work):
        for action in handlers.unknown(record):
            yield f"{record.type}: the deployer may {action} on the resource that is meant"
    else:
        yield from _assumed_of_call(record)


def _assumed_of_call(record: Call) -> Iterator[str]:
    if not calls.is_read(record):
        yield f"{record.name}: no model has this operation, so its parameters are right"
    if reason := meant(record):
        yield f"{record.checks[0].action} is denied, as it is meant: {reason}"
        return
    for check in calls.placed(record):
        if check.resource == "*" and resource_formats(check.action) != ("*",):
            yield f"{check.action} is for a resource that is not denied"
