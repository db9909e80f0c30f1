"""Which calls of a plan the infra deployer's policy does not allow."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from infra.config.place import Place
from infra.gate.calls import CALLS, Action
from infra.gate.changes import Change, Plan, plan_changes
from infra.gate.obstacles import Obstacle
from infra.gate.references import References
from infra.policies.evaluation import ALLOWED, Access, decision
from infra.policies.statements import Document


def denied(
    plan: Plan, region: str, environment: str, policies: Iterable[Callable[[Place], Document]]
) -> Iterator[Obstacle]:
    """The address of each resource that the deployer may not change as planned, and the calls.

    The policies are those of this checkout; the person who runs the plan may have other rights.
    """
    references = References(plan)
    place = Place(references.account, region, environment)
    documents = [policy(place) for policy in policies]
    for change in plan_changes(plan):
        missing: dict[str, list[str]] = {}
        for access in accesses(change, place, references):
            if decision(access, documents) != ALLOWED:
                missing.setdefault(access.resource, []).append(access.action)
        for resource, actions in missing.items():
            yield (
                change.address,
                f"infra-deployer may not {', '.join(dict.fromkeys(actions))} on {resource}; allow "
                "it in infra/policies/infra_deployer.py and run `make bootstrap-pipelines` first",
            )


def accesses(change: Change, place: Place, references: References) -> Iterator[Access]:
    """The requests that a change makes, with their condition keys as far as they are known."""
    calls = CALLS.get(change.type)
    if calls is None:
        return
    planned: Mapping[str, tuple[Any, ...]] = {
        "add": (calls.add,),
        "change": (calls.change,),
        "destroy": (calls.destroy,),
        "replace": (calls.destroy, calls.add),
    }
    region = references.region(change.address) or place.region
    for actions in planned.get(change.action, ()):
        for entry in actions:
            action = entry if isinstance(entry, Action) else Action(entry)
            values = change.before if actions is calls.destroy else change.after
            # A value that the plan does not know comes from another resource, or AWS chooses it.
            if (
                action.when
                and not values.get(action.when)
                and not references.targets(change.address, action.when)
            ):
                continue
            on = action.on or calls.on
            names = {"region": region, "account": place.account}
            for attribute in re.findall(r"\{(\w+)\}", on):
                names.setdefault(attribute, references.value(change, attribute, values))
            resource = _arn(on.format(**names))
            tagged = references.targets(change.address, action.tags_of)
            tags = (references.values(tagged[0]) if tagged else values).get("tags_all") or {}
            context = _context(action, values, region)
            if resource != "*":  # a new resource has no tags yet
                context |= {f"aws:ResourceTag/{name}": value for name, value in tags.items()}
            yield Access(action.name, resource, context)


def _arn(on: str) -> str:
    """The ARN; an attribute that is one itself stands for the whole."""
    return on if on == "*" else "arn:aws:" + on.rpartition("arn:aws:")[2]


def _context(action: Action, values: Mapping[str, Any], region: str) -> dict[str, str]:
    tags = values.get("tags_all") or {}
    keys = {
        "aws:RequestedRegion": region,
        **{f"aws:RequestTag/{name}": value for name, value in tags.items()},
    }
    if action.name == "iam:AttachRolePolicy":
        keys["iam:PolicyARN"] = values.get("policy_arn", "")
    if action.service:
        name = "AWSServiceName" if "ServiceLinked" in action.name else "PassedToService"
        keys[f"iam:{name}"] = action.service
    return keys
