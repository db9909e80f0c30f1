"""Permissions boundaries of roles in CloudFormation.

AWS: a role gets the boundary in its template.
ministack: sets the boundary of users, but not of roles.
Here: roles get it too. Remove once ministack sets it.
"""

from __future__ import annotations

from typing import Any

from ministack.services import iam
from ministack.services.cloudformation import provisioners

_TYPE = "AWS::IAM::Role"


def install() -> None:
    """Set a role's boundary when a stack creates or updates it."""
    handlers = provisioners._RESOURCE_HANDLERS[_TYPE]
    create, update = handlers["create"], handlers["update"]

    def create_bounded(logical_id: str, props: dict[str, Any], stack_name: str) -> Any:
        created = create(logical_id, props, stack_name)
        _bound(created, props)
        return created

    def update_bounded(
        physical_id: str, old_props: Any, new_props: Any, stack_name: str, *rest: Any
    ) -> Any:
        updated = update(physical_id, old_props, new_props, stack_name, *rest)
        _bound(updated, new_props)
        return updated

    handlers.update(create=create_bounded, update=update_bounded)


def _bound(outcome: Any, props: dict[str, Any]) -> None:
    name = outcome[0]
    iam._roles[name]["PermissionsBoundary"] = props.get("PermissionsBoundary")
