"""Attributes of Aurora clusters and instances that ministack drops.

AWS: stores a cluster's log exports, the pause of Serverless v2, storage type, Database Insights
and Performance Insights, and an instance's Performance Insights, promotion tier and log exports.
ministack: drops them or their changes, so each Terraform plan wants to set them again.
Here: they are stored and returned. Remove each attribute once ministack has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import rds

from local.emulator.rds_actions import (
    Parameters,
    Record,
    after_cluster,
    after_instance,
    value,
)

_CLUSTER_ATTRIBUTES = {
    # request parameter: described element
    "StorageType": "StorageType",
    "DatabaseInsightsMode": "DatabaseInsightsMode",
    "EnablePerformanceInsights": "PerformanceInsightsEnabled",
    "PerformanceInsightsKMSKeyId": "PerformanceInsightsKMSKeyId",
    "PerformanceInsightsRetentionPeriod": "PerformanceInsightsRetentionPeriod",
    "MonitoringInterval": "MonitoringInterval",
    "MonitoringRoleArn": "MonitoringRoleArn",
    "AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "BacktrackWindow": "BacktrackWindow",
}
_INSTANCE_ATTRIBUTES = {"PerformanceInsightsKMSKeyId": "PerformanceInsightsKMSKeyId"}
_AUTO_PAUSE = "SecondsUntilAutoPause"
_SCALING = "ServerlessV2ScalingConfiguration"
_LOG_EXPORTS = "EnabledCloudwatchLogsExports"
_KEPT = "_requested"


def install() -> None:
    """Store and return the attributes."""
    for action in ("CreateDBCluster", "ModifyDBCluster"):
        after_cluster(action, _keep_cluster)
    for action in ("CreateDBInstance", "ModifyDBInstance"):
        after_instance(action, _keep_instance)
    rds._cluster_xml = _describing_cluster(rds._cluster_xml)
    rds._serverlessv2_xml = _describing_auto_pause(rds._serverlessv2_xml)
    rds._instance_xml = _describing_instance(rds._instance_xml)


def _keep_cluster(parameters: Parameters, cluster: Record) -> None:
    _keep(_CLUSTER_ATTRIBUTES, parameters, cluster)
    _keep_log_exports(parameters, cluster)
    pause = value(parameters, f"{_SCALING}.{_AUTO_PAUSE}")
    scaling = cluster.get(_SCALING)
    if scaling and pause:
        # ministack replaces the scaling record at each change, so store the pause elsewhere.
        cluster[_KEPT][_AUTO_PAUSE] = pause


def _keep_instance(parameters: Parameters, instance: Record) -> None:
    _keep(_INSTANCE_ATTRIBUTES, parameters, instance)
    for parameter, element in (
        ("EnablePerformanceInsights", "PerformanceInsightsEnabled"),
        ("AutoMinorVersionUpgrade", "AutoMinorVersionUpgrade"),
    ):
        if requested := value(parameters, parameter):
            instance[element] = requested == "true"
    for number in ("PerformanceInsightsRetentionPeriod", "PromotionTier"):
        if requested := value(parameters, number):
            instance[number] = int(requested)


def _keep(attributes: dict[str, str], parameters: Parameters, record: Record) -> None:
    kept = record.setdefault(_KEPT, {})
    for parameter, element in attributes.items():
        if requested := value(parameters, parameter):
            kept[element] = requested


def _keep_log_exports(parameters: Parameters, cluster: Record) -> None:
    change = "CloudwatchLogsExportConfiguration"
    enabled = _members(parameters, "EnableCloudwatchLogsExports") | _members(
        parameters, f"{change}.EnableLogTypes"
    )
    disabled = _members(parameters, f"{change}.DisableLogTypes")
    cluster[_LOG_EXPORTS] = sorted((set(cluster[_LOG_EXPORTS]) | enabled) - disabled)


def _members(parameters: Parameters, name: str) -> set[str]:
    return set(rds._parse_member_list(parameters, name))


def _describing_cluster(original: Callable[[Record], str]) -> Callable[[Record], str]:
    def describe(cluster: Record) -> str:
        exports = "".join(f"<member>{escape(name)}</member>" for name in cluster[_LOG_EXPORTS])
        return (
            original(cluster)
            + f"<{_LOG_EXPORTS}>{exports}</{_LOG_EXPORTS}>"
            + _elements(_CLUSTER_ATTRIBUTES, cluster)
        )

    return describe


def _describing_instance(original: Callable[[Record], str]) -> Callable[[Record], str]:
    return lambda instance: original(instance) + _elements(_INSTANCE_ATTRIBUTES, instance)


def _describing_auto_pause(original: Callable[[Record], str]) -> Callable[[Record], str]:
    def describe(cluster: Record) -> str:
        pause = _element(_AUTO_PAUSE, cluster.get(_KEPT, {}).get(_AUTO_PAUSE))
        return original(cluster).replace(f"</{_SCALING}>", f"{pause}</{_SCALING}>")

    return describe


def _elements(attributes: dict[str, str], record: Record) -> str:
    kept = record.get(_KEPT, {})
    return "".join(_element(name, kept.get(name)) for name in attributes.values())


def _element(name: str, content: Any) -> str:
    return "" if content is None else f"<{name}>{escape(str(content))}</{name}>"
