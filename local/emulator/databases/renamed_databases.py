"""Renamed Aurora clusters and instances.

AWS: ModifyDBCluster and ModifyDBInstance change the name, and with it the ARN and the addresses. A
cluster that takes over a name takes over its addresses.
ministack: ignores the new name.
Here: as on AWS, with two exceptions. A renamed cluster restarts; a renamed instance does not.
Members of global databases cannot be renamed. Remove once ministack renames.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from ministack.services import rds

from local.emulator.databases.aurora_database import AuroraDatabases
from local.emulator.rds_actions import (
    Parameters,
    Record,
    render_cluster,
    render_instance,
    value,
)


def install(databases: AuroraDatabases) -> None:
    """Rename the records, and serve the databases at the new names."""

    def rename_cluster(cluster: Record, name: str) -> None:
        with databases.lock:
            former = cluster["DBClusterIdentifier"]
            databases.rename(cluster, name)
            _move(rds._clusters, former, name)
            _move_arn(cluster, "DBClusterArn", name)
            for instance in rds._instances.values():
                if instance["DBClusterIdentifier"] == former:
                    instance["DBClusterIdentifier"] = name
                    instance["Endpoint"]["Port"] = cluster["Port"]

    actions = rds._ACTION_MAP
    actions["ModifyDBCluster"] = _renaming(
        "DBCluster", rds._clusters, rds._resolve_cluster_in_request_region,
        rename_cluster, render_cluster,
    )  # fmt: skip
    actions["ModifyDBInstance"] = _renaming(
        "DBInstance", rds._instances, rds._resolve_instance, _rename_instance, render_instance
    )


def _renaming(
    kind: str,
    store: Any,
    find: Callable[[str], Record | None],
    rename: Callable[[Record, str], None],
    render: Callable[[str, Record], Any],
) -> Any:
    action = f"Modify{kind}"
    original = rds._ACTION_MAP[action]

    def handle(parameters: Parameters) -> Any:
        name = value(parameters, f"New{kind}Identifier")
        # Without it, AWS waits for the maintenance window.
        if not name or value(parameters, "ApplyImmediately") != "true":
            return original(parameters)
        if name in store:
            fault = "Fault" if kind == "DBCluster" else ""
            return rds._error(f"{kind}AlreadyExists{fault}", f"{name} already exists.", 400)
        record = find(value(parameters, f"{kind}Identifier"))
        if record and record.get("GlobalClusterIdentifier"):
            return rds._error(
                "InvalidDBClusterStateFault",
                "The emulator does not rename members of global databases.",
                400,
            )
        response = original(parameters)
        if response[0] != HTTPStatus.OK or record is None:
            return response
        rename(record, name)
        return render(action, record)

    return handle


def _rename_instance(instance: Record, name: str) -> None:
    former = instance["DBInstanceIdentifier"]
    instance["DBInstanceIdentifier"] = name
    _move(rds._instances, former, name)
    _move_arn(instance, "DBInstanceArn", name)
    for cluster in rds._clusters.values():
        for member in cluster["DBClusterMembers"]:
            if member["DBInstanceIdentifier"] == former:
                member["DBInstanceIdentifier"] = name


def _move_arn(record: Record, key: str, name: str) -> None:
    former = record[key]
    record[key] = f"{former.rpartition(':')[0]}:{name}"
    _move(rds._tags, former, record[key])


def _move(store: Any, former: str, name: str) -> None:
    if former in store:
        store[name] = store.pop(former)
