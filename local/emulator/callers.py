"""Who sends a request, and the policies that decide what they may do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import iam

Policy = dict[str, Any] | str


@dataclass(frozen=True)
class Caller:
    """A principal. The account's own credentials have no policies: nothing is denied to them."""

    arn: str
    policies: tuple[Policy, ...] = ()
    boundary: Policy | None = None


def caller_of(principal: Any) -> Caller:
    """The caller behind ministack's principal."""
    arn = str(getattr(principal, "arn", "anonymous"))
    kind, _, name = arn.rpartition(":")[2].partition("/")
    if kind == "assumed-role":
        name = name.partition("/")[0]
        record, inline = iam._roles.get(name), (iam._roles.get(name) or {}).get("InlinePolicies")
    elif kind == "user":
        record, inline = iam._users.get(name), iam._user_inline_policies.get(name)
    else:
        return Caller(arn)
    record = record or {}
    boundary = record.get("PermissionsBoundary")
    return Caller(
        arn=arn,
        policies=(*(inline or {}).values(), *_attached(record)),
        boundary=_document(boundary) if boundary else None,
    )


def _attached(record: Any) -> Iterator[Policy]:
    for arn in record.get("AttachedPolicies", []):
        if document := _document(arn):
            yield document


def _document(arn: str) -> Policy | None:
    found: Policy | None = iam_evaluator._resolve_managed_policy_document(arn, get_account_id())
    return found
