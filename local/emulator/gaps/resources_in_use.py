"""What a database still uses, and what it cannot go back to.

AWS: refuses to delete a subnet with a database instance in it or a subnet group of a cluster, to
create a subnet group twice, and to downgrade an engine.
ministack: does all of this.
Here: as on AWS. Remove once ministack refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import ec2, rds

from infra.config.aurora import version_number
from local.emulator.ec2_actions import Parameters, value

Handler = Callable[[Parameters], Any]


def install() -> None:
    """Refuse what AWS refuses."""
    _first(ec2._ACTION_MAP, "DeleteSubnet", _instance_in_subnet)
    _first(rds._ACTION_MAP, "CreateDBSubnetGroup", _group_exists)
    _first(rds._ACTION_MAP, "DeleteDBSubnetGroup", _group_in_use)
    _first(rds._ACTION_MAP, "ModifyDBCluster", _downgrade)


def _first(actions: dict[str, Handler], action: str, refusal: Handler) -> None:
    """Ask `refusal` before the action; what it returns is the answer, unless it is None."""
    original = actions[action]
    actions[action] = lambda parameters: refusal(parameters) or original(parameters)


def _instance_in_subnet(parameters: Parameters) -> Any:
    name = value(parameters, "SubnetId")
    zone = (ec2._subnets.get(name) or {}).get("AvailabilityZone")
    for cluster in rds._clusters.values():
        group = rds._subnet_groups.get(cluster["DBSubnetGroup"]) or {}
        subnets = {subnet["SubnetIdentifier"] for subnet in group.get("Subnets", [])}
        instances = rds._cluster_member_instances(cluster)
        if name in subnets and any(each.get("AvailabilityZone") == zone for each in instances):
            return ec2._error(
                "DependencyViolation",
                f"The subnet '{name}' has dependencies and cannot be deleted.",
                400,
            )
    return None


def _group_exists(parameters: Parameters) -> Any:
    name = value(parameters, "DBSubnetGroupName")
    if name in rds._subnet_groups:
        return rds._error(
            "DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.", 400
        )
    return None


def _group_in_use(parameters: Parameters) -> Any:
    name = value(parameters, "DBSubnetGroupName")
    if any(cluster["DBSubnetGroup"] == name for cluster in rds._clusters.values()):
        return rds._error(
            "InvalidDBSubnetGroupStateFault",
            f"Cannot delete the subnet group '{name}' because a DB cluster is using it.",
            400,
        )
    return None


def _downgrade(parameters: Parameters) -> Any:
    asked = value(parameters, "EngineVersion")
    cluster = rds._clusters.get(value(parameters, "DBClusterIdentifier"))
    runs = cluster["EngineVersion"] if cluster else asked
    if asked and version_number(asked) < version_number(runs):
        return rds._error(
            "InvalidParameterCombination",
            f"Cannot upgrade aurora-mysql from {runs} to {asked}",
            400,
        )
    return None
