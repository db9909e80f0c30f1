"""Reads what databases run on now: a change of their file may take effect later."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import boto3

from infra.config.aurora import version_number
from infra.config.capacity import PROVISIONED, Capacity, serverless_capacity
from infra.config.environment import EnvironmentConfig
from infra.config.naming import resource_name
from infra.config.options import Running
from infra.config.regions import RegionConfig
from shared.cli.aws import answering
from shared.contract.loader import load_contract
from shared.contract.published import read_published

# As the API of RDS describes a cluster or an instance.
_Record = Mapping[str, Any]


def with_what_runs(environment: EnvironmentConfig) -> EnvironmentConfig:
    """The environment with what each region's database runs on, where its file asks for more.

    AWS may have upgraded an engine, which cannot be undone. A larger class waits for the
    maintenance window, and a larger `max_capacity` for a reboot. Until then the database accepts no
    more connections than before. Prints a line to standard error for each that differs.

    Raises:
        UserError: AWS does not answer.
    """
    regions = []
    for region in environment.regions:
        with answering(region.region):
            regions.append(replace(region, running=_running(environment, region)))
    return replace(environment, regions=tuple(regions))


def _running(environment: EnvironmentConfig, region: RegionConfig) -> Running:
    rds = boto3.client("rds", region_name=region.region)
    name = resource_name("cluster", region.region, environment.suffix)
    try:
        (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    except rds.exceptions.DBClusterNotFoundFault:
        return Running()
    instances = rds.describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": [name]}])[
        "DBInstances"
    ]
    asked = environment.settings.database
    found = Running(
        engine_version=_newer(asked.engine_version, cluster["EngineVersion"]),
        capacity=_smaller(asked.capacity, _capacities(cluster, instances)),
        connection_budget=_published_budget(environment, region) if _reboots(instances) else None,
    )
    runs = asked.running_on(found)
    if found.engine_version:
        print(
            f"==> {name}: it runs {found.engine_version} and stays there: set engine_version in "
            f"{environment.file}, which has the older {asked.engine_version}",
            file=sys.stderr,
            flush=True,
        )
    if runs.connection_budget < asked.connection_budget:
        print(
            f"==> {name}: the connection budget is {runs.connection_budget} until the maintenance "
            f"window or a reboot has given the database its new size; then deploy again for "
            f"{asked.connection_budget}",
            file=sys.stderr,
            flush=True,
        )
    return found


def _newer(asked: str, runs: str) -> str:
    """The running version, if it is newer than the requested one."""
    return runs if version_number(runs) > version_number(asked) else ""


def _smaller(asked: Capacity, running: Sequence[Capacity]) -> Capacity | None:
    """The smallest running capacity, if it is smaller than the requested one."""
    smallest = min([asked, *running], key=lambda capacity: capacity.max_connections)
    return smallest if smallest.max_connections < asked.max_connections else None


def _capacities(cluster: _Record, instances: Sequence[_Record]) -> list[Capacity]:
    largest = cluster.get("ServerlessV2ScalingConfiguration", {}).get("MaxCapacity", 0)
    known = {**PROVISIONED, **({"db.serverless": serverless_capacity(largest)} if largest else {})}
    classes = {instance["DBInstanceClass"] for instance in instances}
    return [known[class_] for class_ in classes & known.keys()]


def _reboots(instances: Sequence[_Record]) -> bool:
    """Whether an instance waits for a reboot, until which it keeps its number of connections.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
    """
    return any(
        group.get("ParameterApplyStatus") == "pending-reboot"
        for instance in instances
        for group in instance.get("DBParameterGroups", [])
    )


def _published_budget(environment: EnvironmentConfig, region: RegionConfig) -> int | None:
    contract = load_contract()
    path = contract.path(contract["DatabaseConnectionBudget"], environment.suffix)
    published = read_published([path], region.region)
    return int(published[path].value) if path in published else None
