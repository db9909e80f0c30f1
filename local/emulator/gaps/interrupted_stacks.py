"""Stack operations that the emulator's end interrupted.

AWS: a stack operation always comes to an end.
ministack: restores an interrupted operation as still in progress, and rejects all later ones.
Here: an interrupted stack can be deployed or deleted again. ministack compares with the last
template that was fully deployed, so the next deployment makes up for the rest. Remove once
ministack resumes operations.
"""

from __future__ import annotations

from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import _stacks

_REASON = "Interrupted when the emulator ended"


def install() -> None:
    """Repair stacks when the saved state is restored."""
    original = cloudformation.load_persisted_state

    def load(data: Any) -> None:
        original(data)
        _mend()

    cloudformation.load_persisted_state = load


def _mend() -> None:
    for stack in _stacks.all_values():
        status = stack["StackStatus"]
        if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
            continue
        deleting = status == "DELETE_IN_PROGRESS"
        stack["StackStatus"] = "DELETE_FAILED" if deleting else "UPDATE_ROLLBACK_COMPLETE"
        stack["StackStatusReason"] = _REASON
