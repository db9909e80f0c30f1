"""Whether IAM allows what was recorded.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from certify.recording import Check, Document
from infra.policies.evaluation import ALLOWED, EXPLICIT_DENY, Access, decision

# Even to callers whose policies deny it.
# https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
_ALWAYS_ALLOWED = {"sts:GetCallerIdentity"}


class Answer(Enum):
    """What decides about a request, in words for the one whom it is denied to."""

    ALLOWED = "allowed"
    BY_IDENTITY = "no policy of the caller allows it"
    BY_DENIAL = "a policy of the caller denies it"
    BY_BOUNDARY = "the caller's permissions boundary does not allow it"
    BY_RESOURCE = "the resource's own policy does not allow it"


def answer(check: Check, identity: Sequence[Document], boundary: Document | None) -> Answer:
    """The answer of IAM to a caller of the resource's own account."""
    if check.action in _ALWAYS_ALLOWED:
        return Answer.ALLOWED
    access = Access(check.action, check.resource, check.context)
    own = decision(access, identity)
    if own == EXPLICIT_DENY:
        return Answer.BY_DENIAL
    if _refused_by_resource(check, access):
        return Answer.BY_RESOURCE
    if own != ALLOWED:
        return Answer.BY_IDENTITY
    within = boundary is None or decision(access, [boundary]) == ALLOWED
    return Answer.ALLOWED if within else Answer.BY_BOUNDARY


def _refused_by_resource(check: Check, access: Access) -> bool:
    """Whether the resource's own policy denies a request, or does not allow what it must.

    A key's policy must at least leave the decision to the policies of the account.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
    """
    found = _of_resource(check, access)
    is_key = check.action.startswith("kms:") and check.policy is not None
    return found == EXPLICIT_DENY or (is_key and found != ALLOWED)


def _of_resource(check: Check, access: Access) -> str | None:
    """What the resource's own policy says to the caller, None if there is none."""
    if check.policy is None:
        return None
    statements = check.policy["Statement"]
    found = [
        # Some policies of resources leave the resource out.
        {"Resource": "*", **statement}
        for statement in (statements if isinstance(statements, list) else [statements])
        if _is_for(statement, check)
    ]
    return decision(access, [{"Statement": found}])


def _is_for(statement: Mapping[str, Any], check: Check) -> bool:
    """Whether a statement is about the caller; the account stands for all of its principals."""
    caller = str(check.context.get("aws:principalarn", ""))
    principal = statement.get("Principal", {})
    named = principal.get("AWS", []) if isinstance(principal, Mapping) else principal
    account = str(check.context.get("aws:principalaccount", ""))
    names = {"*", caller, account, f"arn:aws:iam::{account}:root", _role_arn(caller)}
    return bool(names & set([named] if isinstance(named, str) else named))


def _role_arn(caller: str) -> str:
    """The ARN of the role of a session."""
    return caller.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").rpartition("/")[0]
