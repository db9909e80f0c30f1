"""The verdict on plans, from their JSON; tests/mistakes has plans of the real Terraform."""

from collections.abc import Mapping
from typing import Any

import pytest

from infra.gate.verdict import NOTHING_LOST, Finding, allowed_losses, judge
from shared.cli.errors import UserError

CLUSTER = "aws_rds_cluster.database_cluster"


def change(
    address: str,
    *actions: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    forced_by: str = "",
) -> dict[str, Any]:
    paths = [[forced_by]] if forced_by else []
    sides = {"before": before, "after": after, "replace_paths": paths}
    return {
        "address": address,
        "type": address.partition(".")[0],
        "change": {"actions": list(actions), **sides},
    }


def deployed(**resources: Mapping[str, Any]) -> Mapping[str, Any]:
    """A prior state of resources, by type."""
    found = [
        {"mode": "managed", "type": type_, "address": f"{type_}.{name}", "values": values}
        for type_, each in resources.items()
        for name, values in each.items()
    ]
    return {"values": {"root_module": {"resources": found}}}


def words(*changes: Mapping[str, Any], **plan: Any) -> list[str]:
    return judge({"resource_changes": list(changes), **plan}, {}).lines()


@pytest.mark.parametrize(
    ("type_", "lost"),
    [
        ("aws_backup_vault", "the recovery points in it"),
        ("aws_cloudwatch_log_group", "the logs in it"),
        ("aws_kms_key", "all that it encrypts, as soon as AWS deletes it"),
        ("aws_rds_cluster", "all trades in it"),
        ("aws_rds_global_cluster", "the database of all its regions"),
        ("aws_s3_bucket", "the objects in it"),
        ("aws_secretsmanager_secret", "the password in it"),
    ],
)
@pytest.mark.parametrize("actions", [("delete",), ("delete", "create"), ("forget",)])
def test_what_holds_data_is_lost_when_it_goes(
    type_: str, lost: str, actions: tuple[str, ...]
) -> None:
    gone = change(f"{type_}.it", *actions, before={"cluster_identifier": "a"})
    assert words(gone) == [f"loses: {type_}.it: {lost}"]
    verdict = judge({"resource_changes": [gone]}, {})
    assert verdict.word == "loses"
    assert verdict.lost_clusters == (("a",) if type_ == "aws_rds_cluster" else ())


def test_backups_that_stop_are_a_loss_and_a_new_plan_for_them_is_none() -> None:
    assert words(change("aws_backup_plan.plan", "delete")) == [
        "loses: aws_backup_plan.plan: the daily backups"
    ]
    assert words(change("aws_backup_selection.it", "delete")) == [
        "loses: aws_backup_selection.it: the daily backups of the cluster"
    ]
    assert words(change("aws_backup_plan.plan", "delete", "create")) == []


@pytest.mark.parametrize(
    ("type_", "name", "before", "after", "lost"),
    [
        ("aws_rds_cluster", "backup_retention_period", 7, 1, "the backups that are older than 1"),
        ("aws_rds_cluster", "backup_retention_period", 7, 8, ""),
        ("aws_cloudwatch_log_group", "retention_in_days", 0, 30, "the logs that are older than 30"),
        ("aws_cloudwatch_log_group", "retention_in_days", 30, 0, ""),
    ],
)
def test_a_shorter_retention_deletes_what_is_older(
    type_: str, name: str, before: int, after: int, lost: str
) -> None:
    found = words(change(f"{type_}.it", "update", before={name: before}, after={name: after}))
    assert found == ([f"loses: {type_}.it: {lost} days"] if lost else [])


def lifecycle(expiration: int | None, noncurrent: int) -> Mapping[str, Any]:
    rule = {
        "id": "expire",
        "expiration": [{"days": expiration}],
        "noncurrent_version_expiration": [{"noncurrent_days": noncurrent}],
    }
    return {"rule": [rule, {"id": "uploads", "expiration": None}]}


def test_objects_that_expire_earlier_are_lost() -> None:
    address = "aws_s3_bucket_lifecycle_configuration.data"
    sooner = change(address, "update", before=lifecycle(90, 30), after=lifecycle(30, 7))
    assert words(sooner) == [
        f"loses: {address}: the objects that are older than 30 days",
        f"loses: {address}: the replaced versions of objects that are older than 7 days",
    ]
    assert not words(change(address, "update", before=lifecycle(30, 7), after=lifecycle(90, 30)))
    first = change(address, "update", before=lifecycle(None, 30), after=lifecycle(90, 30))
    assert words(first) == [f"loses: {address}: the objects that are older than 90 days"]


def test_a_published_value_that_a_service_uses_is_lost_with_its_parameter() -> None:
    consumers = {"/a": ["orders", "trades"]}
    gone = change("aws_ssm_parameter.a", "delete", before={"name": "/a"})
    (loss,) = judge({"resource_changes": [gone]}, consumers).losses
    assert loss == Finding("aws_ssm_parameter.a", "the value that orders, trades was released with")
    assert judge({"resource_changes": [gone]}, {}).word == NOTHING_LOST
    same = change(
        "aws_ssm_parameter.a", "delete", "create", before={"name": "/a"}, after={"name": "/a"}
    )
    assert judge({"resource_changes": [same]}, consumers).word == NOTHING_LOST


@pytest.mark.parametrize(
    ("type_", "interrupted"),
    [
        ("aws_db_proxy", "connections through the proxy end"),
        ("aws_nat_gateway", "connections of functions to the internet end"),
        ("aws_rds_cluster_instance", "connections to this instance end"),
        ("aws_sns_topic", "alarms reach nobody"),
        ("aws_vpc_security_group_ingress_rule", "connections that it allows end"),
    ],
)
def test_what_carries_connections_interrupts_when_it_goes(type_: str, interrupted: str) -> None:
    (line,) = words(change(f"{type_}.it", "delete", "create"))
    assert line.startswith(f"interrupts: {type_}.it: {interrupted}")
    assert words(change(f"{type_}.it", "create", after={})) == []


def test_a_restart_says_when_it_comes() -> None:
    instance = "aws_rds_cluster_instance.one"
    sides: dict[str, Any] = {
        "before": {"instance_class": "db.r5.large"},
        "after": {"instance_class": "db.r5.xlarge"},
    }
    (later,) = words(change(instance, "update", **sides))
    assert later.startswith(
        f"interrupts: {instance}: instance_class becomes db.r5.xlarge: in the maintenance window, "
    )
    sides["after"]["apply_immediately"] = True
    (now,) = words(change(instance, "update", **sides))
    assert "db.r5.xlarge: now, the instance restarts, for some minutes" in now


def test_another_gateway_behind_a_route_ends_its_connections() -> None:
    sides = {"before": {"nat_gateway_id": "nat-1"}, "after": {"nat_gateway_id": "nat-2"}}
    (line,) = words(change("aws_route.private", "update", **sides))
    assert line.startswith("interrupts: aws_route.private: connections over this route end")
    # The apply creates that gateway, and only then is its name known.
    new = change("aws_route.private", "update", before=sides["before"], after={})
    new["change"]["after_unknown"] = {"nat_gateway_id": True, "tags": {}}
    assert words(new) == [line]


PROTECTED = deployed(aws_rds_cluster={"database_cluster": {"deletion_protection": True}})


def test_the_end_of_a_protection_is_reported() -> None:
    sides = {"before": {"deletion_protection": True}, "after": {"deletion_protection": False}}
    (line,) = words(change(CLUSTER, "update", **sides))
    assert line.startswith(f"interrupts: {CLUSTER}: its protection ends")


@pytest.mark.parametrize(
    ("address", "before", "kept"),
    [
        ("aws_backup_vault.vault", {"force_destroy": False}, True),
        ("aws_s3_bucket.data", {"force_destroy": False}, True),
        ("aws_s3_bucket.code", {"force_destroy": True}, False),
        ("aws_kms_key.key", {}, True),
        ("aws_cloudwatch_log_group.audit", {}, False),
    ],
)
def test_what_is_deployed_with_protection_stays_whatever_the_file_says(
    address: str, before: Mapping[str, Any], kept: bool
) -> None:
    gone = change(address, "delete", before=before)
    (line,) = words(gone, prior_state=PROTECTED)
    assert line.startswith(f"cannot work: {address}: " if kept else f"loses: {address}: ")
    assert words(gone)[0].startswith("loses: ")


@pytest.mark.parametrize(
    ("forced_by", "way"),
    [
        ("database_name", "another database.name replaces the cluster with an empty one"),
        ("master_username", "another database.master_username replaces the cluster"),
    ],
)
def test_a_cluster_cannot_change_its_names(forced_by: str, way: str) -> None:
    replaced = change(
        CLUSTER, "delete", "create", before={"cluster_identifier": "a"}, forced_by=forced_by
    )
    (line,) = words(replaced)
    assert line.startswith(f"cannot work: {CLUSTER}: {way}")


def test_another_network_cannot_come_under_a_database() -> None:
    (line,) = words(change("aws_vpc.vpc", "delete", "create", forced_by="cidr_block"))
    assert line.startswith("cannot work: aws_vpc.vpc: another cidr replaces the network")


def test_an_engine_goes_forward_in_its_window_and_never_back() -> None:
    old, new = ({"engine_version": f"8.0.mysql_aurora.3.{minor}"} for minor in ("9.2", "10.0"))
    (line,) = words(change(CLUSTER, "update", before=old, after=new))
    assert "3.10.0: in the maintenance window, all instances restart" in line
    (line,) = words(change(CLUSTER, "update", before=new, after=old))
    assert line.startswith(f"cannot work: {CLUSTER}: Aurora cannot go back from 8.0.mysql_aurora.3")


GLOBAL = "aws_rds_global_cluster.global"


def test_an_environment_joins_and_leaves_a_global_database_as_a_whole_only() -> None:
    state = deployed(aws_rds_cluster={"database_cluster": {}})
    added = change(GLOBAL, "create", after={})
    (line,) = words(added, prior_state=state)
    assert line.startswith(f"cannot work: {GLOBAL}: a database joins or leaves")
    assert words(added) == []
    joined = {"global_cluster_identifier": "all"}
    (line,) = words(change(CLUSTER, "update", before={}, after=joined), prior_state=state)
    assert line.startswith(f"cannot work: {CLUSTER}: a database joins or leaves")
    (line,) = words(change(GLOBAL, "delete"), prior_state=state)
    assert line.startswith(f"cannot work: {GLOBAL}: a database joins or leaves")
    both = words(
        change(GLOBAL, "delete"),
        change(CLUSTER, "delete", before={"cluster_identifier": "a"}),
        prior_state=state,
    )
    assert [line.partition(":")[0] for line in both] == ["loses", "loses"]


def test_a_zone_with_an_instance_stays() -> None:
    state = deployed(
        aws_rds_cluster_instance={
            "one": {"availability_zone": "us-east-1a"},
            "two": {"availability_zone": "us-east-1b"},
        }
    )
    subnet = "aws_subnet.network_private-b"
    goes = change(subnet, "delete", before={"availability_zone": "us-east-1b"})
    assert any(
        line.startswith(f"cannot work: {subnet}: an instance of the database runs in us-east-1b")
        for line in words(goes, prior_state=state)
    )
    with_it = words(goes, change("aws_rds_cluster_instance.two", "delete"), prior_state=state)
    assert not any(line.startswith("cannot work") for line in with_it)


def moved(arn_region: str, provider: Mapping[str, Any], *, refreshed: bool = True) -> list[str]:
    arn = f"arn:aws:backup:{arn_region}:000000000000:backup-vault:copy"
    drift = change("aws_backup_vault.copy", "delete", before={"arn": arn})
    other = change("aws_vpc.vpc", "update", before={"arn": arn})
    resource = {"address": "aws_backup_vault.copy", "provider_config_key": "aws.other"}
    found = (
        {"resource_drift": [drift, other]}
        if refreshed
        else {"prior_state": deployed(aws_backup_vault={"copy": {"arn": arn}})}
    )
    return words(
        **found,
        configuration={
            "provider_config": {"aws.other": provider},
            "root_module": {"resources": [resource]},
        },
    )


def test_a_resource_that_a_plan_seeks_in_another_region_is_not_deleted() -> None:
    there = {"expressions": {"region": {"constant_value": "us-east-2"}}}
    (line,) = moved("us-west-2", there)
    assert line == (
        "cannot work: aws_backup_vault.copy: it is in us-west-2, and this plan looks for it in "
        "us-east-2 and would leave it behind; keep backup_region at us-west-2"
    )
    assert moved("us-west-2", there, refreshed=False) == [line]
    assert moved("us-east-2", there, refreshed=False) == []
    # Deleted by hand, in the region where it was.
    assert moved("us-east-2", there) == []
    assert moved("us-east-2", {}) == []


def test_a_new_cluster_without_a_final_snapshot_says_so() -> None:
    (note,) = words(change(CLUSTER, "create", after={"skip_final_snapshot": True}))
    assert note.startswith(f"note: {CLUSTER}: it leaves no snapshot when it is destroyed")
    assert words(change(CLUSTER, "create", after={"skip_final_snapshot": False})) == []


def test_the_worst_finding_decides() -> None:
    gone = change("aws_s3_bucket.data", "delete")
    vpc = change("aws_vpc.vpc", "delete", "create")
    topic = change("aws_sns_topic.alarms", "delete")
    assert judge({"resource_changes": [gone, vpc, topic]}, {}).word == "cannot work"
    assert judge({"resource_changes": [gone, topic]}, {}).word == "loses"
    assert judge({"resource_changes": [topic]}, {}).word == "interrupts"
    assert judge({}, {}).word == NOTHING_LOST


def test_losses_are_allowed_one_by_one() -> None:
    text = "stack-1: aws_s3_bucket.data,\n stack-2:aws_kms_key.key-1\n"
    assert allowed_losses(text) == {
        ("stack-1", "aws_s3_bucket.data"),
        ("stack-2", "aws_kms_key.key-1"),
    }
    assert allowed_losses("") == frozenset()
    for wrong in ("all", "stack-1 aws_s3_bucket.data", "*: *, x"):
        with pytest.raises(UserError, match="write <stack>: <address>"):
            allowed_losses(wrong)
