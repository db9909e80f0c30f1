"""Hooks that run before CloudFormation updates a resource of one type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]


@dataclass(frozen=True)
class Update:
    """One resource's update: its id, its properties before and after, and where it is declared."""

    physical_id: str
    old: Properties
    new: Properties
    stack_name: str
    logical_id: str | None


def before_update(type_: str, hook: Callable[[Update], Properties]) -> None:
    """Run `hook` before each update of a resource of the type.

    The hook returns the old properties with which ministack then compares the new ones. An
    exception that it raises fails the update.
    """
    handler = provisioners._RESOURCE_HANDLERS[type_]
    original = handler["update"]

    def update(
        physical_id: str,
        old: Properties,
        new: Properties,
        stack_name: str,
        logical_id: str | None = None,
    ) -> Any:
        old = hook(Update(physical_id, old, new, stack_name, logical_id))
        return original(physical_id, old, new, stack_name, logical_id)

    handler["update"] = update
