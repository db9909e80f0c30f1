"""Lets gap modules extend ministack's RDS actions: their hooks run after an action."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

from ministack.services import rds

Parameters = dict[str, Any]
Record = dict[str, Any]
Hook = Callable[[Parameters, Record], None]

# Parameters of RestoreDBClusterToPointInTime.
RESTORE_SOURCE = "SourceDBClusterIdentifier"
RESTORE_TIME = "RestoreToTime"


class ActionError(Exception):
    """A hook raises this to answer the request with an error."""


def after_cluster(action: str, hook: Hook) -> None:
    """Run `hook` with the request and the cluster's record after a successful `action`.

    The answer is rendered again, so it shows what the hook changed. A hook that raises ActionError
    has undone the action.
    """
    find = rds._resolve_cluster_in_request_region
    _wrap(action, "DBClusterIdentifier", find, render_cluster, hook)


def after_instance(action: str, hook: Hook) -> None:
    """As `after_cluster`, for an action on a DB instance."""
    _wrap(action, "DBInstanceIdentifier", rds._resolve_instance, render_instance, hook)


def value(parameters: Parameters, name: str) -> str:
    """One request parameter; empty if it is absent."""
    return str(rds._p(parameters, name))


def restore_source(parameters: Parameters) -> Record | None:
    """The cluster that a new cluster is restored from; None for an empty cluster."""
    found: Record | None = rds._resolve_cluster_in_request_region(value(parameters, RESTORE_SOURCE))
    return found


def restore_time(parameters: Parameters) -> datetime | None:
    """The time to restore to; None for the latest possible one."""
    text = value(parameters, RESTORE_TIME)
    return datetime.fromisoformat(text) if text else None


def render_cluster(action: str, cluster: Record) -> Any:
    """The answer to an action on a cluster."""
    body = f"<DBCluster>{rds._cluster_xml(cluster)}</DBCluster>"
    return rds._xml(200, f"{action}Response", f"<{action}Result>{body}</{action}Result>")


def render_instance(action: str, instance: Record) -> Any:
    """The answer to an action on an instance."""
    return rds._single_instance_response(f"{action}Response", f"{action}Result", instance)


def _wrap(
    action: str,
    identifier: str,
    find: Callable[[str], Record | None],
    render: Callable[[str, Record], Any],
    hook: Hook,
) -> None:
    original = rds._ACTION_MAP[action]

    def handle(parameters: Parameters) -> Any:
        name = value(parameters, identifier)
        record = find(name)  # before the action: a deletion removes it
        response = original(parameters)
        record = record or find(name)
        if response[0] != HTTPStatus.OK or record is None:
            return response
        try:
            hook(parameters, record)
        except ActionError as error:
            return rds._error("InvalidParameterCombination", str(error), 400)
        return render(action, record)

    rds._ACTION_MAP[action] = handle
