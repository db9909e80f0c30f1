"""Aurora Global Databases with replicated data.

AWS: a secondary cluster follows the primary one. A switchover promotes it and loses nothing. A
failover promotes it and loses what was not replicated yet; the old primary cluster is recreated.
ministack: replicates between databases in Docker. Without Docker, only the roles change.
Here: the clusters' servers replicate. Remove once ministack runs databases without Docker.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from ministack.services import rds

from local.database_server import MySQLError
from local.emulator.databases.aurora_database import AuroraDatabases
from local.emulator.databases.replication import (
    NotInStep,
    follow,
    is_follower,
    promote,
    stop_following,
    switch,
)
from local.emulator.rds_actions import Parameters, Record


def install(databases: AuroraDatabases) -> None:
    """Move the data with the roles."""
    # ministack refuses a change of roles without its own replication.
    rds._aurora_mysql_8_replication_enabled = lambda _cluster: False
    actions = rds._ACTION_MAP
    actions["SwitchoverGlobalCluster"] = _moving(
        databases, actions["SwitchoverGlobalCluster"], lambda _parameters: False
    )
    actions["FailoverGlobalCluster"] = _moving(
        databases,
        actions["FailoverGlobalCluster"],
        lambda parameters: str(rds._p(parameters, "AllowDataLoss")).lower() == "true",
    )
    actions["RemoveFromGlobalCluster"] = _leaving(databases, actions["RemoveFromGlobalCluster"])


def _moving(
    databases: AuroraDatabases, original: Any, may_lose: Callable[[Parameters], bool]
) -> Any:
    def handle(parameters: Parameters) -> Any:
        found, error = rds._resolve_global_writer_switch(parameters)
        if error:
            return original(parameters)
        global_cluster, target, _, writer_member = found
        writer = rds._resolve_global_member_cluster(writer_member)
        followers = [
            cluster
            for member in global_cluster["GlobalClusterMembers"]
            if (cluster := rds._resolve_global_member_cluster(member)) is not target
        ]
        with databases.lock:
            try:
                new = databases.server(target)
                if may_lose(parameters):
                    promote(new)
                    for cluster in followers:
                        databases.recreate(cluster)
                else:
                    switch(databases.server(writer), new)
                    for cluster in followers:
                        stop_following(databases.server(cluster))
                for cluster in followers:
                    follow(databases.server(cluster), new)
            except NotInStep:
                return _refused(target, "does not catch up with the writer")
            except MySQLError as problem:
                return _refused(target, f"cannot become the writer: {problem}")
            return original(parameters)

    return handle


def _leaving(databases: AuroraDatabases, original: Any) -> Any:
    def handle(parameters: Parameters) -> Any:
        cluster = rds._resolve_cluster(rds._p(parameters, "DbClusterIdentifier"))
        with databases.lock:
            followed = cluster is not None and is_follower(cluster)
            response = original(parameters)
            if response[0] == HTTPStatus.OK and followed:
                promote(databases.server(cluster))
        return response

    return handle


def _refused(target: Record, reason: str) -> Any:
    return rds._error(
        "InvalidGlobalClusterStateFault", f"{target['DBClusterIdentifier']} {reason}", 400
    )
