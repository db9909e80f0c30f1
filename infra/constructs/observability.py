"""Alarms, whom they tell, and a dashboard."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from constructs import Construct

from infra.config.environment import DatabaseConfig, ObservabilityConfig
from infra.config.naming import resource_name
from infra.constructs.database import Database
from infra.constructs.iam import policy
from infra.provider.bindings import (
    CloudwatchDashboard,
    CloudwatchMetricAlarm,
    SnsTopic,
    SnsTopicPolicy,
    SnsTopicSubscription,
)

_GIB = 1024**3
_MINUTE = 60
_FIVE_MINUTES = 5 * _MINUTE
_HOUR = 60 * _MINUTE

Role = Literal["WRITER", "READER"]


@dataclass(frozen=True)
class Alarm:
    """One metric that should stay below `threshold`, or above it where `below` is set.

    `missing` says what no data means. A database that runs always has a CPU value: none means
    that it, or what watches it, is gone. Its other gauges then keep the state that they have, lest
    one outage sends five alarms. Counters of errors have no data while there is no error.
    """

    name: str
    description: str
    namespace: str
    metric: str
    statistic: Literal["Average", "Maximum", "Minimum", "Sum"]
    threshold: float
    below: bool = False
    period_seconds: int = _FIVE_MINUTES
    periods: int = 3
    missing: Literal["breaching", "notBreaching", "ignore"] = "notBreaching"


class Observability(Construct):
    """An encrypted topic that all alarms tell, and the alarms that each of the `watch_…` adds."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        config: ObservabilityConfig,
        region: str,
        environment: str,
        account: str,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id_)
        self._region = region
        self._environment = environment
        self._alarms: list[CloudwatchMetricAlarm] = []
        self.topic = SnsTopic(
            self,
            "topic",
            name=resource_name("topic", region, environment, "alarms"),
            kms_master_key_id=key_arn,
        )
        SnsTopicPolicy(
            self,
            "topic-policy",
            arn=self.topic.arn,
            policy=policy(
                {
                    "Sid": "Alarms",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": self.topic.arn,
                    "Condition": {"StringEquals": {"aws:SourceAccount": account}},
                },
                {
                    "Sid": "DenyPlainHttp",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sns:Publish",
                    "Resource": self.topic.arn,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ),
        )
        if config.alarm_email:
            SnsTopicSubscription(
                self,
                "email",
                topic_arn=self.topic.arn,
                protocol="email",
                endpoint=config.alarm_email,
            )

    def watch_database(self, database: Database) -> None:
        """Add the alarms of the writer and, if there are any, of the readers.

        They look at roles, not at instances: after a failover they watch the new writer. In a
        global database, one more looks for a sign of life of the cluster, whatever its roles.
        """
        both = database.config.readers or database.is_global
        roles: list[Role] = ["WRITER", "READER"] if both else ["WRITER"]
        for role in roles:
            for alarm in database_alarms(database.config, role):
                self._watch_database(
                    database,
                    # A region of a global database may have no writer, or nobody beside it.
                    replace(alarm, missing="notBreaching") if database.is_global else alarm,
                    role,
                )
        if database.is_global:
            cpu, *_ = database_alarms(database.config, "READER")
            self._watch_database(database, cpu)

    def _watch_database(self, database: Database, alarm: Alarm, role: Role | None = None) -> None:
        self._add(
            replace(alarm, name=f"{(role or 'cluster').lower()}-{alarm.name}"),
            {
                "DBClusterIdentifier": database.cluster_identifier,
                **({"Role": role} if role else {}),
            },
            # Before there is an instance, missing data would be an alarm.
            depends_on=database.instances,
        )

    def watch_nat(self, zone: str, gateway_id: str) -> None:
        """Add the alarm of a NAT gateway that runs out of ports."""
        self._add(
            Alarm(
                name=f"nat-ports-{zone[-1]}",
                description="Functions cannot open connections: NAT has no port left",
                namespace="AWS/NATGateway",
                metric="ErrorPortAllocation",
                statistic="Sum",
                threshold=1,
                periods=1,
            ),
            {"NatGatewayId": gateway_id},
        )

    def watch_backups(self, vault_name: str, *, copied: bool) -> None:
        """Add the alarms of backups and, where there are any, of copies that failed."""
        for job in ("Backup", "Copy") if copied else ("Backup",):
            self._add(
                Alarm(
                    name=f"{job.lower()}-failed",
                    description=f"A {job.lower()} job of AWS Backup failed",
                    namespace="AWS/Backup",
                    metric=f"NumberOf{job}JobsFailed",
                    statistic="Sum",
                    threshold=1,
                    period_seconds=_HOUR,
                    periods=1,
                ),
                {"BackupVaultName": vault_name},
            )

    def add_dashboard(self, database: Database) -> None:
        """Add a dashboard of the database and of all alarms added before."""
        CloudwatchDashboard(
            self,
            "dashboard",
            dashboard_name=resource_name("dashboard", self._region, self._environment),
            dashboard_body=json.dumps(
                {
                    "widgets": [
                        _alarm_widget([alarm.arn for alarm in self._alarms]),
                        *_metric_widgets(self._region, database),
                    ]
                }
            ),
        )

    def _add(
        self,
        alarm: Alarm,
        dimensions: dict[str, str],
        depends_on: Sequence[Any] = (),
    ) -> None:
        self._alarms.append(
            CloudwatchMetricAlarm(
                self,
                f"alarm-{alarm.name}",
                alarm_name=resource_name("alarm", self._region, self._environment, alarm.name),
                alarm_description=alarm.description,
                namespace=alarm.namespace,
                metric_name=alarm.metric,
                dimensions=dimensions,
                statistic=alarm.statistic,
                comparison_operator=(
                    "LessThanOrEqualToThreshold" if alarm.below else "GreaterThanOrEqualToThreshold"
                ),
                threshold=alarm.threshold,
                period=alarm.period_seconds,
                evaluation_periods=alarm.periods,
                treat_missing_data=alarm.missing,
                alarm_actions=[self.topic.arn],
                ok_actions=[self.topic.arn],
                depends_on=list(depends_on) or None,
            )
        )


def database_alarms(config: DatabaseConfig, role: Role) -> tuple[Alarm, ...]:
    """What is watched on the instances of one role.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html
    """
    # An instance that pauses has no data, and nothing is wrong.
    gone: Literal["breaching", "notBreaching"] = "notBreaching" if config.pauses else "breaching"
    kept: Literal["ignore", "notBreaching"] = "notBreaching" if config.pauses else "ignore"
    connections = config.capacity.max_connections
    base = Alarm("", "", "AWS/RDS", "", "Average", 0)
    alarms = [
        replace(
            base,
            name="cpu",
            description="CPU at 80 % for a quarter of an hour, or no sign of life",
            metric="CPUUtilization",
            threshold=80,
            missing=gone,
        ),
        replace(
            base,
            name="connections",
            description=f"90 % of the {connections} connections are in use",
            metric="DatabaseConnections",
            statistic="Maximum",
            threshold=connections * 9 // 10,
            period_seconds=_MINUTE,
            missing=kept,
        ),
        replace(
            base,
            name="memory",
            description="Less than 5 % of the memory is free",
            metric="FreeableMemory",
            statistic="Minimum",
            threshold=config.capacity.memory_gib * _GIB * 5 // 100,
            below=True,
            missing=kept,
        ),
    ]
    if config.serverless:
        alarms.append(
            replace(
                base,
                name="capacity",
                description=f"At 90 % of max_capacity, {config.max_capacity} ACUs: raise it",
                metric="ACUUtilization",
                threshold=90,
                missing=kept,
            )
        )
    else:
        # Serverless v2 does not have this metric.
        alarms.append(
            replace(
                base,
                name="local-storage",
                description="Temporary tables and sorts have less than 4 GiB left",
                metric="FreeLocalStorage",
                statistic="Minimum",
                threshold=4 * _GIB,
                below=True,
                missing=kept,
            )
        )
    if role == "WRITER":
        alarms.append(
            replace(
                base,
                name="deadlocks",
                description="Transactions have deadlocked in each of the last three five minutes",
                metric="Deadlocks",
                statistic="Maximum",
                # Per second: any is more than this.
                threshold=0.001,
            )
        )
    else:
        alarms.append(
            replace(
                base,
                name="lag",
                description="Readers are a second or more behind the writer",
                metric="AuroraReplicaLag",
                statistic="Maximum",
                threshold=1000,
                missing=kept,
            )
        )
    return tuple(alarms)


def _alarm_widget(alarm_arns: Sequence[str]) -> dict[str, object]:
    return {
        "type": "alarm",
        "x": 0,
        "y": 0,
        "width": 24,
        "height": 3,
        "properties": {"title": "Alarms", "alarms": list(alarm_arns)},
    }


def _metric_widgets(region: str, database: Database) -> list[dict[str, object]]:
    charts = {
        "CPU (%)": ("CPUUtilization",),
        "Connections": ("DatabaseConnections",),
        "Commits per second and latency (ms)": ("CommitThroughput", "CommitLatency"),
        "Freeable memory (bytes)": ("FreeableMemory",),
        "Replica lag (ms)": ("AuroraReplicaLag",),
        "Volume (bytes)": ("VolumeBytesUsed",),
    }
    if database.config.serverless:
        charts["Capacity (ACUs)"] = ("ServerlessDatabaseCapacity",)
    columns, width, height = 3, 8, 6
    return [
        {
            "type": "metric",
            "x": place % columns * width,
            "y": 3 + place // columns * height,
            "width": width,
            "height": height,
            "properties": {
                "title": title,
                "region": region,
                "period": _MINUTE,
                "metrics": [
                    [
                        "AWS/RDS",
                        metric,
                        "DBClusterIdentifier",
                        database.cluster_identifier,
                        *(() if metric == "VolumeBytesUsed" else ("Role", role)),
                    ]
                    for metric in metrics
                    for role in (
                        ("WRITER",) if metric == "VolumeBytesUsed" else ("WRITER", "READER")
                    )
                ],
            },
        }
        for place, (title, metrics) in enumerate(charts.items())
    ]
