"""Recorded calls, judged one by one."""

from collections.abc import Iterator
from dataclasses import replace

from certify.authorization import Answer, answer
from certify.recording import Call, Check, role_of
from certify.references import arns, known_action
from infra.gate import parameters
from infra.gate.models import HIDDEN, input_shape


def refused(call: Call) -> Iterator[str]:
    """What AWS is known to refuse in a call of any caller."""
    if is_read(call):
        for member, reason in parameters.refused(call.service, call.operation, call.parameters):
            if HIDDEN not in reason:
                yield f"{call.name} {member}: {reason}"
    for check in call.checks:
        if not known_action(check.action):
            yield f"{call.name}: there is no action {check.action}"


def denied(call: Call) -> Iterator[str]:
    """What the caller's own policies, their boundary and the resource's policy do not allow."""
    for check in placed(call):
        found = answer(check, call.identity, call.boundary)
        if found is not Answer.ALLOWED:
            who = role_of(call.caller)
            yield f"{who} may not {check.action} on {check.resource}: {found.value}"


def placed(call: Call) -> Iterator[Check]:
    """The checks of a call, each on the resource that its parameters name.

    The emulator asks about all resources, `*`, where it does not look for the one that is meant.
    """
    account = next((check.context.get("aws:principalaccount") for check in call.checks), None)
    values = {"Partition": "aws", "Region": call.region, "Account": account, **call.parameters}
    for check in call.checks:
        found = arns(check.action, values) if check.resource == "*" else []
        yield from [replace(check, resource=arn) for arn in found] or [check]


def is_read(call: Call) -> bool:
    """Whether botocore's models have the operation; otherwise only its permission is judged."""
    try:
        input_shape(call.service, call.operation)
    except LookupError:
        return False
    return True
