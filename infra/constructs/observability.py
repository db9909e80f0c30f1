"""Alarms, the topic that they notify, and a dashboard."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from constructs import Construct

from infra.config.options import DatabaseConfig, ObservabilityConfig
from infra.config.place import Place
from infra.constructs.database import Database
from infra.constructs.iam import policy
from infra.policies.statements import service_alarms
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
Missing = Literal["breaching", "notBreaching", "ignore"]


@dataclass(frozen=True)
class Alarm:
    """One metric that should stay below `threshold`, or above it where `below` is set.

    `missing` says what it means if there is no data. A running database always reports its CPU: no
    value means that the database, or what watches it, is gone. Its other gauges then keep their
    state, so that one outage does not send five alarms. Error counters have no data while there is
    no error.
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
    missing: Missing = "notBreaching"


# What is lost if the writing region is lost. Only the other regions have this metric.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.AuroraMonitoring.Metrics.html
_GLOBAL_LAG = Alarm(
    name="global-lag",
    description="The region is five seconds or more behind the region that writes",
    namespace="AWS/RDS",
    metric="AuroraGlobalDBReplicationLag",
    statistic="Maximum",
    threshold=5000,
    period_seconds=_MINUTE,
    periods=5,
)


class Observability(Construct):
    """An encrypted topic that all alarms notify. The `watch_…` methods add alarms."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        config: ObservabilityConfig,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id_)
        self._place = place
        self._alarms: list[CloudwatchMetricAlarm] = []
        self.topic = SnsTopic(
            self,
            "topic",
            name=place.name("topic", "alarms"),
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
                    # Those of the platform and of its service, not of other teams.
                    # https://repost.aws/knowledge-center/cloudwatch-receive-sns-for-alarm-trigger
                    "Condition": {
                        "StringEquals": {"aws:SourceAccount": place.account},
                        "ArnLike": {
                            "aws:SourceArn": [
                                place.arn("cloudwatch", f"alarm:{place.name('alarm', '*')}"),
                                *service_alarms(place),
                            ]
                        },
                    },
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

        They watch roles, not instances, so they follow the writer after a failover. A global
        database has two more: one for the cluster's heartbeat, one for the region's lag.
        """
        both = database.config.readers or database.is_global
        roles: list[Role] = ["WRITER", "READER"] if both else ["WRITER"]
        for role in roles:
            for alarm in database_alarms(database.config, role):
                self._watch_database(
                    database,
                    # A region of a global database may have no writer, or nothing but a writer.
                    replace(alarm, missing="notBreaching") if database.is_global else alarm,
                    role,
                )
        if database.is_global:
            cpu, *_ = database_alarms(database.config, "READER")
            self._watch_database(database, cpu)
            self._watch_database(database, _GLOBAL_LAG)

    def _watch_database(self, database: Database, alarm: Alarm, role: Role | None = None) -> None:
        self._add(
            replace(alarm, name=f"{(role or 'cluster').lower()}-{alarm.name}"),
            {
                "DBClusterIdentifier": database.cluster_identifier,
                **({"Role": role} if role else {}),
            },
            # Before the first instance exists, missing data would ring the alarm.
            depends_on=database.instances,
        )

    def watch_nat(self, zone: str, gateway_id: str) -> None:
        """Add the alarm for a NAT gateway that runs out of ports."""
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
        """Add the alarms for backups that fail or do not run; with `copied`, also for copies.

        AWS Backup starts no job for Aurora in a region that has not opted in, and then none fails:
        https://docs.aws.amazon.com/aws-backup/latest/devguide/service-opt-in.html
        """
        for job in ("Backup", "Copy") if copied else ("Backup",):
            self._add(
                Alarm(
                    name=f"{job.lower()}-missing",
                    description=f"No {job.lower()} job of AWS Backup has completed for 30 hours",
                    namespace="AWS/Backup",
                    metric=f"NumberOf{job}JobsCompleted",
                    statistic="Sum",
                    threshold=0,
                    below=True,
                    period_seconds=_HOUR,
                    # A day, and the time that a job may take longer than the one before.
                    periods=30,
                    missing="breaching",
                ),
                {"BackupVaultName": vault_name},
            )
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
        """Add a dashboard with the database and with all alarms added so far."""
        CloudwatchDashboard(
            self,
            "dashboard",
            dashboard_name=self._place.name("dashboard"),
            dashboard_body=json.dumps(
                {
                    "widgets": [
                        _alarm_widget([alarm.arn for alarm in self._alarms]),
                        *_metric_widgets(self._place.region, database),
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
                alarm_name=self._place.name("alarm", alarm.name),
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
    # An instance that pauses sends no data, and nothing is wrong.
    kept: Missing = "notBreaching" if config.pauses else "ignore"
    base = Alarm("", "", "AWS/RDS", "", "Average", 0)
    return (
        *_instance_alarms(config, replace(base, missing=kept)),
        _limit_alarm(config, replace(base, missing=kept)),
        _writer_alarm(base) if role == "WRITER" else _reader_alarm(replace(base, missing=kept)),
    )


def _instance_alarms(config: DatabaseConfig, base: Alarm) -> tuple[Alarm, ...]:
    connections = config.capacity.max_connections
    return (
        replace(
            base,
            name="cpu",
            description="CPU at 80 % for a quarter of an hour, or no sign of life",
            metric="CPUUtilization",
            threshold=80,
            missing="notBreaching" if config.pauses else "breaching",
        ),
        replace(
            base,
            name="connections",
            description=f"90 % of the {connections} connections are in use",
            metric="DatabaseConnections",
            statistic="Maximum",
            threshold=connections * 9 // 10,
            period_seconds=_MINUTE,
        ),
        replace(
            base,
            name="memory",
            description="Less than 5 % of the memory is free",
            metric="FreeableMemory",
            statistic="Minimum",
            threshold=config.capacity.memory_gib * _GIB * 5 // 100,
            below=True,
        ),
    )


def _limit_alarm(config: DatabaseConfig, base: Alarm) -> Alarm:
    """The limit that this kind of instance reaches first."""
    if config.serverless:
        return replace(
            base,
            name="capacity",
            description=f"At 90 % of max_capacity, {config.max_capacity:g} ACUs: raise it",
            metric="ACUUtilization",
            threshold=90,
        )
    # Serverless v2 has no such metric.
    return replace(
        base,
        name="local-storage",
        description="Temporary tables and sorts have less than 4 GiB left",
        metric="FreeLocalStorage",
        statistic="Minimum",
        threshold=4 * _GIB,
        below=True,
    )


def _writer_alarm(base: Alarm) -> Alarm:
    return replace(
        base,
        name="deadlocks",
        description="Transactions deadlocked in each of the last three periods of five minutes",
        metric="Deadlocks",
        statistic="Maximum",
        # The metric is a rate per second, and any deadlock is above this.
        threshold=0.001,
    )


def _reader_alarm(base: Alarm) -> Alarm:
    return replace(
        base,
        name="lag",
        description="Readers are a second or more behind the writer",
        metric="AuroraReplicaLag",
        statistic="Maximum",
        threshold=1000,
    )


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
