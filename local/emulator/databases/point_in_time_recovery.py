"""Aurora clusters restored to a point in time, or from a snapshot.

AWS: RestoreDBClusterToPointInTime creates a cluster with the data of another one at a time within
its backup retention, and RestoreDBClusterFromSnapshot with the data of a snapshot. The new cluster
has no instances and no managed master password. DescribeDBClusters returns the earliest and latest
possible time.
ministack: has no such actions, and returns the time of creation. Its snapshots have no data.
Here: the new cluster's server applies the other one's binary log up to that time, or up to the time
of the snapshot. The log is the only backup, and it is always complete. So a snapshot can only be
restored while its cluster exists. Remove once ministack restores databases without Docker.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

from ministack.services import rds

from local.emulator.rds_actions import (
    RESTORE_SOURCE,
    RESTORE_TIME,
    Parameters,
    Record,
    render_cluster,
    restore_source,
    restore_time,
    value,
)

_ACTION = "RestoreDBClusterToPointInTime"
_FROM_SNAPSHOT = "RestoreDBClusterFromSnapshot"
_SNAPSHOT = "CreateDBClusterSnapshot"
_DAY_SECONDS = 86_400
# The request or the defaults of a new cluster decide the rest.
_KEPT = {
    "Engine": "Engine",
    "EngineVersion": "EngineVersion",
    "MasterUsername": "MasterUsername",
    "MasterUserPassword": "_MasterUserPassword",
    "DatabaseName": "DatabaseName",
    "KmsKeyId": "KmsKeyId",
    "BackupRetentionPeriod": "BackupRetentionPeriod",
}


def install() -> None:
    """Add the actions, and return the range of times that can be restored."""
    rds._ACTION_MAP[_ACTION] = _restore
    rds._ACTION_MAP[_FROM_SNAPSHOT] = _restore_snapshot
    rds._ACTION_MAP[_SNAPSHOT] = _in_a_new_second(rds._ACTION_MAP[_SNAPSHOT])
    rds._cluster_xml = _describing(rds._cluster_xml)


def _restore(parameters: Parameters) -> Any:
    source = restore_source(parameters)
    if source is None:
        name = value(parameters, RESTORE_SOURCE)
        return rds._error("DBClusterNotFoundFault", f"DBCluster {name} not found.", 404)
    moment = restore_time(parameters)
    if (moment is None) != (value(parameters, "UseLatestRestorableTime") == "true"):
        return rds._error(
            "InvalidParameterCombination",
            f"Exactly one of {RESTORE_TIME} and UseLatestRestorableTime must be specified.",
            400,
        )
    if moment is not None and (reason := _out_of_reach(moment, source)):
        return rds._error("InvalidParameterValue", reason, 400)
    return _create(_ACTION, source, parameters)


def _restore_snapshot(parameters: Parameters) -> Any:
    name = value(parameters, "SnapshotIdentifier")
    snapshot = rds._db_cluster_snapshots.get(name)
    if snapshot is None:
        return rds._error(
            "DBClusterSnapshotNotFoundFault", f"DBClusterSnapshot not found: {name}", 404
        )
    # Names change; the resource id stays.
    ids = {cluster["DbClusterResourceId"]: cluster for cluster in rds._clusters.values()}
    source = ids.get(snapshot["DbClusterResourceId"])
    if source is None:
        return rds._error(
            "InvalidDBClusterSnapshotStateFault",
            f"The cluster of {name} is gone, and its data with it: the emulator keeps a snapshot's "
            "data in its cluster.",
            400,
        )
    at = {
        RESTORE_SOURCE: source["DBClusterIdentifier"],
        RESTORE_TIME: snapshot["SnapshotCreateTime"],
    }
    return _create(_FROM_SNAPSHOT, source, {**parameters, **at})


def _in_a_new_second(original: Callable[[Parameters], Any]) -> Callable[[Parameters], Any]:
    """Take a snapshot at the start of a second: times in the log are whole seconds."""

    def create(parameters: Parameters) -> Any:
        time.sleep(1 - time.time() % 1)
        return original(parameters)

    return create


def _create(action: str, source: Record, parameters: Parameters) -> Any:
    """Create a cluster whose database is restored from `source`, as the parameters say."""
    kept = {name: str(source[key]) for name, key in _KEPT.items() if source[key]}
    encrypted = str(source["StorageEncrypted"]).lower()
    created = rds._ACTION_MAP["CreateDBCluster"](
        {**kept, "StorageEncrypted": encrypted, **parameters}
    )
    if created[0] != HTTPStatus.OK:
        return created
    return render_cluster(action, rds._clusters[value(parameters, "DBClusterIdentifier")])


def _out_of_reach(moment: datetime, source: Record) -> str:
    earliest, latest = _restorable(source)
    asked = rds._format_time(moment.timestamp())
    if asked > latest:
        return f"The specified instance cannot be restored to a time later than {latest}"
    if asked < earliest:
        return (
            f"The specified instance cannot be restored to a time earlier than {earliest} because "
            f"its backup retention period is set to {source['BackupRetentionPeriod']} days."
        )
    return ""


def _restorable(cluster: Record) -> tuple[str, str]:
    now = time.time()
    oldest = rds._format_time(now - cluster["BackupRetentionPeriod"] * _DAY_SECONDS)
    return max(cluster["EarliestRestorableTime"], oldest), rds._format_time(now)


def _describing(original: Callable[[Record], str]) -> Callable[[Record], str]:
    def describe(cluster: Record) -> str:
        earliest, latest = _restorable(cluster)
        return original(
            {**cluster, "EarliestRestorableTime": earliest, "LatestRestorableTime": latest}
        )

    return describe
