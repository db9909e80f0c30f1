"""How much a database holds, as far as CloudWatch can say."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3

from shared.cli.aws import AWS_ERRORS, BRIEFLY
from shared.naming import METRICS, TRADE_SERVICE, TRADES_BOOKED

# CloudWatch keeps hourly values this long.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
_KEPT_DAYS = 455
_DAY_SECONDS = 86_400
_GIB = 1024**3


def holdings(cluster: str, region: str, environment: str) -> str:
    """The trades that were booked and the size of a cluster, as words.

    Empty if CloudWatch has no values, does not answer within seconds, or may not be read.
    """
    try:
        found = list(_holdings(cluster, region, environment))
    except AWS_ERRORS:
        return ""
    return f"{cluster} holds {', '.join(found)}" if found else ""


def _holdings(cluster: str, region: str, environment: str) -> Iterator[str]:
    # A refusal must not wait for its details.
    client = boto3.client("cloudwatch", region_name=region, config=BRIEFLY)
    now = datetime.now(UTC)
    booked = client.get_metric_statistics(
        Namespace=METRICS,
        MetricName=TRADES_BOOKED,
        Dimensions=[
            {"Name": "environment", "Value": environment},
            {"Name": "service", "Value": TRADE_SERVICE},
        ],
        StartTime=now - timedelta(days=_KEPT_DAYS),
        EndTime=now,
        Period=_DAY_SECONDS,
        Statistics=["Sum"],
    )["Datapoints"]
    if booked:
        trades = sum(point["Sum"] for point in booked)
        yield f"{trades:,.0f} trades that were booked in the last {_KEPT_DAYS} days"
    sizes = client.get_metric_statistics(
        Namespace="AWS/RDS",
        MetricName="VolumeBytesUsed",
        Dimensions=[{"Name": "DBClusterIdentifier", "Value": cluster}],
        StartTime=now - timedelta(days=1),
        EndTime=now,
        Period=3600,
        Statistics=["Maximum"],
    )["Datapoints"]
    if sizes:
        newest = max(sizes, key=lambda point: point["Timestamp"])
        yield f"{newest['Maximum'] / _GIB:.1f} GiB"
