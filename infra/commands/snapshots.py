"""Takes a snapshot of a cluster before an apply that loses it."""

from datetime import UTC, datetime

import boto3

from shared.cli.aws import answering


def take_snapshot(cluster: str, region: str) -> str:
    """Take a snapshot, wait until it is available, and return its name.

    Raises:
        UserError: RDS refuses it, or it is not available after an hour.
    """
    name = f"{cluster}-before-{datetime.now(UTC):%Y%m%d%H%M%S}"
    print(f"==> {cluster}: taking the snapshot {name}", flush=True)
    with answering(region, "RDS"):
        rds = boto3.client("rds", region_name=region)
        rds.create_db_cluster_snapshot(
            DBClusterIdentifier=cluster, DBClusterSnapshotIdentifier=name
        )
        rds.get_waiter("db_cluster_snapshot_available").wait(
            DBClusterIdentifier=cluster,
            DBClusterSnapshotIdentifier=name,
            # Up to an hour: the first snapshot of a large cluster takes long.
            WaiterConfig={"Delay": 10, "MaxAttempts": 360},
        )
    return name
