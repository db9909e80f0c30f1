"""Stacks whose deployment or deletion the end of the emulator has interrupted.

AWS: a stack operation always comes to an end.
ministack: one that was under way when it ended is restored as under way, for ever, and refuses
every further operation.
Here: an interrupted stack can be deployed, or deleted, again: ministack compares with the last
template that was deployed to the end, so that the next deployment makes up for all of it.
Droppable once ministack resumes operations.
"""

from __future__ import annotations

from ministack.services.cloudformation import _stacks

_REASON = "Interrupted by the end of the emulator"


def heal() -> None:
    """Bring interrupted stacks of the restored state to a state that can be left."""
    for stack in _stacks.all_values():
        status = stack["StackStatus"]
        if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
            continue
        deleting = status == "DELETE_IN_PROGRESS"
        stack["StackStatus"] = "DELETE_FAILED" if deleting else "UPDATE_ROLLBACK_COMPLETE"
        stack["StackStatusReason"] = _REASON
