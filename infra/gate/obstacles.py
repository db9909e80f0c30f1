"""What a plan cannot do: edits that fail halfway, or do something other than they say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from infra.gate.changes import Change, Plan, Values, deployed_resources
from infra.gate.interruptions import PROTECTION
from infra.gate.losses import CONTENTS

CLUSTER = "aws_rds_cluster"
_GLOBAL = "aws_rds_global_cluster"
_INSTANCE = "aws_rds_cluster_instance"
_LOGS = "aws_cloudwatch_log_group"
Obstacle = tuple[str, str]

_PAGE = "docs/how-to/move-to-a-new-environment.md"
# For each attribute: what another value in the environment's file really does, and what to do
# instead.
CLUSTER_WAYS: Mapping[str, str] = {
    "database_name": (
        "another database.name replaces the cluster with an empty one; keep the name, or move the "
        f"trades to a new environment ({_PAGE})"
    ),
    "master_username": (
        "another database.master_username replaces the cluster with an empty one; keep the name, "
        "and create a further user with SQL"
    ),
}
NETWORK_WAY = (
    "another cidr replaces the network under a running database, which AWS refuses halfway; keep "
    f"the cidr, or move the trades to a new environment ({_PAGE})"
)
GLOBAL_WAY = (
    "a database joins or leaves a global database only as a new one; put database.global_regions "
    f"back, or move the trades to a new environment ({_PAGE})"
)


def obstacles(plan: Plan, changes: Sequence[Change]) -> Iterator[Obstacle]:
    """The address of each resource that the plan cannot change as it says, and what to do."""
    deployed = list(deployed_resources(plan))
    yield from _guarded(deployed, changes)
    yield from _moved(plan)
    yield from _global(deployed, changes)
    for change in changes:
        if change.type == "aws_vpc" and change.action == "replace":
            yield change.address, NETWORK_WAY
        if change.type == CLUSTER and change.action == "replace":
            yield from (
                (change.address, CLUSTER_WAYS[name])
                for name in change.forced_by
                if name in CLUSTER_WAYS
            )
        if change.type == CLUSTER and change.alters("engine_version"):
            before, after = change.before["engine_version"], change.after["engine_version"]
            if _version(after) < _version(before):
                yield (
                    change.address,
                    f"Aurora cannot go back from {before} to {after}; set database.engine_version "
                    f'= "{before}", or restore a snapshot (docs/runbooks/restore.md)',
                )
    yield from _occupied(deployed, changes)


def _guarded(
    deployed: Sequence[tuple[str, str, Values]], changes: Sequence[Change]
) -> Iterator[Obstacle]:
    """A resource deployed with deletion protection stays, whatever the file says."""
    if not any(
        type_ in (CLUSTER, _GLOBAL) and values.get(PROTECTION) for type_, _, values in deployed
    ):
        return
    for change in changes:
        # Logs are not guarded, nor is a bucket that a deploy may empty.
        guarded = change.type in CONTENTS and change.type != _LOGS
        if change.goes and guarded and not change.before.get("force_destroy"):
            yield (
                change.address,
                "it is deployed with protection; take the edit back. To remove it, first deploy "
                "with prevent_destroy = false under [protection] alone",
            )


def _moved(plan: Plan) -> Iterator[Obstacle]:
    """Resources that the plan looks for in another region, so that they seem deleted."""
    configuration = plan.get("configuration", {})
    providers = configuration.get("provider_config", {})
    regions = {
        key: provider.get("expressions", {}).get("region", {}).get("constant_value")
        for key, provider in providers.items()
    }
    used = {
        resource["address"]: regions.get(resource.get("provider_config_key"))
        for resource in configuration.get("root_module", {}).get("resources", [])
    }
    # A refresh lists what it does not find under the drift instead of the deployed resources.
    gone = (
        (drift["type"], drift["address"], drift["change"].get("before") or {})
        for drift in plan.get("resource_drift", [])
        if drift["change"]["actions"] == ["delete"]
    )
    for type_, address, values in chain(deployed_resources(plan), gone):
        region, looked = str(values.get("arn", "")).split(":")[3:4], used.get(address)
        if type_ in CONTENTS and looked and region and region[0] not in ("", looked):
            yield (
                address,
                f"it is in {region[0]}, and this plan looks for it in {looked} and would leave it "
                f"behind; keep backup_region at {region[0]}",
            )


def _global(
    deployed: Sequence[tuple[str, str, Values]], changes: Sequence[Change]
) -> Iterator[Obstacle]:
    """A cluster joins a global database when it is created, or not at all."""
    clusters = {address for type_, address, _ in deployed if type_ == CLUSTER}
    going = {change.address for change in changes if change.action == "destroy"}
    for change in changes:
        if change.type == _GLOBAL and (
            (change.action == "add" and clusters) or (change.goes and clusters - going)
        ):
            yield change.address, GLOBAL_WAY
        if (
            change.type == CLUSTER
            and change.action in ("change", "replace")
            and not change.before.get("global_cluster_identifier")
            and change.after.get("global_cluster_identifier")
        ):
            yield change.address, GLOBAL_WAY


def _occupied(
    deployed: Sequence[tuple[str, str, Values]], changes: Sequence[Change]
) -> Iterator[Obstacle]:
    """Subnets that go although an instance in them stays, which AWS refuses."""
    going = {change.address for change in changes if change.goes}
    zones = {
        str(values.get("availability_zone"))
        for type_, address, values in deployed
        if type_ == _INSTANCE and address not in going
    }
    cluster_goes = any(change.type == CLUSTER and change.goes for change in changes)
    for change in changes:
        zone = str(change.before.get("availability_zone"))
        if (
            change.type == "aws_subnet"
            and change.action == "destroy"
            and "private" in change.address
            and zone in zones
            and not cluster_goes
        ):
            yield (
                change.address,
                f"an instance of the database runs in {zone}, and none can move; keep the zone in "
                "network.zones, or first lower database.readers until no instance is left there",
            )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
