"""Stack deletions that fail at one resource.

AWS: keeps what that resource depends on, so that the deletion can be retried.
ministack: deletes the dependencies, such as the function that deletes a custom resource.
Here: as on AWS, but the kept dependencies count as failed too. Remove once ministack keeps them.
"""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import _stacks, stacks
from ministack.services.cloudformation.engine import _extract_deps


def install() -> None:
    """Keep what the remaining resources depend on."""
    delete = stacks._delete_resource

    def delete_unless_needed(
        type_: str, physical_id: str, props: Any, stack_name: str, logical_id: str
    ) -> Any:
        stack = _stacks.get(stack_name)
        if stack["StackStatus"] == "DELETE_IN_PROGRESS":
            definitions = stack["_template"]["Resources"]
            # Dependents are deleted first: one that is still there could not be deleted.
            for other in stack["_resources"].keys() & definitions.keys():
                if logical_id in _extract_deps(definitions[other], {logical_id}):
                    raise ValueError(f"{other} could not be deleted and needs it")
        return delete(type_, physical_id, props, stack_name, logical_id)

    stacks._delete_resource = delete_unless_needed
