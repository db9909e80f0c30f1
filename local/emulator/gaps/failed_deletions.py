"""Stacks of which a resource could not be deleted.

AWS: what such a resource depends on is not deleted either, so that the deletion can be tried again.
ministack: deletes it, for example the function that a custom resource needs for its own deletion.
Here: as on AWS, but that it is shown as not deleted as well. Remove once ministack does so.
"""

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import _stacks, stacks
from ministack.services.cloudformation.engine import _extract_deps


def install() -> None:
    """Keep what resources that are still there depend on."""
    delete = stacks._delete_resource

    def delete_unless_needed(
        type_: str, physical_id: str, props: Any, stack_name: str, logical_id: str
    ) -> Any:
        stack = _stacks.get(stack_name)
        if stack["StackStatus"] == "DELETE_IN_PROGRESS":
            definitions = stack["_template"]["Resources"]
            # Resources are deleted in their order: who still needs this one could not be deleted.
            for other in stack["_resources"].keys() & definitions.keys():
                if logical_id in _extract_deps(definitions[other], {logical_id}):
                    raise ValueError(f"{other} could not be deleted and needs it")
        return delete(type_, physical_id, props, stack_name, logical_id)

    stacks._delete_resource = delete_unless_needed
