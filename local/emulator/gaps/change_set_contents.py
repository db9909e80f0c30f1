"""Change sets that change conditional resources or outputs only.

AWS: creates a change set when parameter values create or delete conditional resources or change
outputs, and when the template changes outputs.
ministack: compares resources' properties only, as if all conditions were true. It answers other
updates with "didn't contain changes".
Here: resources with a false condition count as absent, and outputs are compared. Remove once
ministack compares both.
"""

from __future__ import annotations

import copy
from typing import Any

from ministack.services.cloudformation import _change_sets, changesets, engine, handlers

_NO_CHANGES = "The submitted information didn't contain changes."


def install() -> None:
    """Compare conditions and outputs too."""
    changesets._resolve_props_for_diff = _without_absent(changesets._resolve_props_for_diff)
    actions = handlers._ACTION_HANDLERS
    actions["CreateChangeSet"] = _with_outputs(actions["CreateChangeSet"])


def _without_absent(original: Any) -> Any:
    def resolve(template: Any, parameters: Any, stack_name: str, stack_id: str) -> Any:
        resolved = original(template, parameters, stack_name, stack_id)
        conditions = _conditions(template, parameters)
        resources = {
            name: resource
            for name, resource in resolved.get("Resources", {}).items()
            if conditions.get(resource.get("Condition"), True)
        }
        return {"Resources": resources} if resolved else resolved

    return resolve


def _with_outputs(original: Any) -> Any:
    def create(parameters: dict[str, Any]) -> Any:
        before = set(_change_sets.keys())
        response = original(parameters)
        for identifier in set(_change_sets.keys()) - before:
            change_set = _change_sets[identifier]
            if change_set["StatusReason"].startswith(_NO_CHANGES) and _outputs_differ(change_set):
                change_set.update(
                    Status="CREATE_COMPLETE", ExecutionStatus="AVAILABLE", StatusReason=""
                )
        return response

    return create


def _outputs_differ(change_set: dict[str, Any]) -> bool:
    stack = handlers._resolve_stack(change_set["StackName"])
    return bool(_outputs(change_set, stack) != _outputs(stack, stack))


def _outputs(holder: dict[str, Any], stack: dict[str, Any]) -> Any:
    """The outputs that the template and the parameters of a stack or change set give."""
    template, parameters = holder["_template"], holder["_resolved_params"]
    conditions = _conditions(template, parameters)
    outputs = {
        name: output
        for name, output in template.get("Outputs", {}).items()
        if conditions.get(output.get("Condition"), True)
    }
    return engine._resolve_refs(
        copy.deepcopy(outputs),
        stack["_resources"],
        parameters,
        conditions,
        template.get("Mappings", {}),
        stack["StackName"],
        stack["StackId"],
    )


def _conditions(template: Any, parameters: Any) -> dict[str | None, bool]:
    return dict(engine._evaluate_conditions(template, parameters)) if template else {}
