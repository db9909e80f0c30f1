"""IAM's policy simulator.

AWS: SimulateCustomPolicy takes condition keys, several resources and permissions boundaries.
ministack: evaluates one resource and ignores the rest.
Here: as on AWS, with ministack's own evaluation. Remove once ministack supports them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam

_DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny", "ImplicitDeny": "implicitDeny"}


def install() -> None:
    """Simulate with the whole request."""
    iam._IAM_HANDLERS["SimulateCustomPolicy"] = _simulate


def _simulate(parameters: dict[str, Any]) -> Any:
    policies = [parse_policy_document(d) for d in _members(parameters, "PolicyInputList")]
    boundaries = [
        [parse_policy_document(document)]
        for document in _members(parameters, "PermissionsBoundaryPolicyInputList")
    ]
    account, context = get_account_id(), _context(parameters)
    # Who asks is a condition key like any other.
    principal = context.get("aws:principalarn", f"arn:aws:iam::{account}:user/simulated")
    results = ""
    for action in _members(parameters, "ActionNames"):
        for resource in list(_members(parameters, "ResourceArns")) or ["*"]:
            request = EvalContext(
                principal_arn=principal,
                principal_type="User",
                principal_account=account,
                action=action,
                resource_arn=resource,
                region=get_region(),
                service_context=context,
            )
            decision = _DECISIONS[evaluate(request, policies, *boundaries).decision]
            results += (
                f"<member><EvalActionName>{action}</EvalActionName>"
                f"<EvalResourceName>{resource}</EvalResourceName>"
                f"<EvalDecision>{decision}</EvalDecision></member>"
            )
    return iam._xml(
        200,
        "SimulateCustomPolicyResponse",
        f"<SimulateCustomPolicyResult><EvaluationResults>{results}</EvaluationResults>"
        "<IsTruncated>false</IsTruncated></SimulateCustomPolicyResult>",
        ns="iam",
    )


def _context(parameters: dict[str, Any]) -> dict[str, Any]:
    context: dict[str, Any] = {}
    number = 1
    while name := iam._p(parameters, f"ContextEntries.member.{number}.ContextKeyName"):
        values = list(_members(parameters, f"ContextEntries.member.{number}.ContextKeyValues"))
        context[name.lower()] = values if len(values) > 1 else values[0]
        number += 1
    return context


def _members(parameters: dict[str, Any], name: str) -> Iterator[str]:
    number = 1
    while value := iam._p(parameters, f"{name}.member.{number}"):
        yield value
        number += 1
