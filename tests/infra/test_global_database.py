"""The synthesized Aurora Global Database for several regions."""

from pathlib import Path
from typing import Any

import pytest

from infra.commands.cost import estimate, load_prices
from infra.config.environment import load_environment
from infra.config.naming import global_name
from tests.support.synthesized import REGIONS, Stack, differences, statements, synthesized

FILE = Path(__file__).parent / "environments" / "global.toml"
PRIMARY, *SECONDARIES = REGIONS
NAME = "trading-platform-global-qa"
WITH_PRIMARY = {"ENVIRONMENT_SUFFIX": "qa", "REGIONS": ",".join(REGIONS)}


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stack]:
    """The stacks by region."""
    folder = tmp_path_factory.mktemp("global")
    found = synthesized(folder, FILE.read_text(), **WITH_PRIMARY)
    return dict(zip(REGIONS, found.values(), strict=True))


def cluster(stack: Stack) -> Any:
    return stack.only("aws_rds_cluster")


def test_the_primary_region_makes_the_database_and_the_others_join_it_by_name(
    stacks: dict[str, Stack],
) -> None:
    made = stacks[PRIMARY].only("aws_rds_global_cluster")
    assert made["global_cluster_identifier"] == NAME == global_name("qa")
    assert made["storage_encrypted"] is True
    assert made["deletion_protection"] is True
    assert made["lifecycle"] == {"prevent_destroy": True}
    reference = cluster(stacks[PRIMARY])["global_cluster_identifier"]
    assert reference == stacks[PRIMARY].reference(
        "aws_rds_global_cluster", "global-database/global-cluster", "id"
    )
    for region in SECONDARIES:
        assert "aws_rds_global_cluster" not in stacks[region].counts()
        assert cluster(stacks[region])["global_cluster_identifier"] == NAME


def test_a_secondary_cluster_has_no_users_or_data_of_its_own_and_the_key_of_its_region(
    stacks: dict[str, Stack],
) -> None:
    for region in SECONDARIES:
        joined = cluster(stacks[region])
        assert not {name for name in joined if name.startswith(("master", "manage"))}
        assert "database_name" not in joined
        assert joined["source_region"] == PRIMARY
        assert joined["storage_encrypted"] is True
        assert joined["kms_key_id"] == "${data.aws_kms_alias.key.target_key_arn}"
        alias = stacks[region].document["data"]["aws_kms_alias"]["key"]
        assert alias["name"] == f"alias/trading-{region}-qa"


def test_terraform_undoes_neither_a_failover_nor_an_upgrade(stacks: dict[str, Stack]) -> None:
    for stack in stacks.values():
        ignored = cluster(stack)["lifecycle"]["ignore_changes"]
        assert {"replication_source_identifier", "engine_version"} <= set(ignored)


def test_the_primary_region_makes_the_keys_that_the_replicas_of_secrets_need(
    stacks: dict[str, Stack],
) -> None:
    keys = {
        key["provider"]: path
        for path, key in stacks[PRIMARY].resources("aws_kms_key").items()
        if path.startswith("encryption-")
    }
    assert set(keys) == {f"aws.{region}" for region in SECONDARIES}
    for region in SECONDARIES:
        key = stacks[PRIMARY].resources("aws_kms_key")[f"encryption-{region}/key"]
        use = statements(key["policy"])["UseThroughServicesOfAws"]
        assert use["Condition"]["StringLike"] == {"kms:ViaService": f"*.{region}.amazonaws.com"}
        assert key["lifecycle"] == {"prevent_destroy": True}
        alias = stacks[PRIMARY].resources("aws_kms_alias")[f"encryption-{region}/alias"]
        assert (alias["name"], alias["provider"]) == (
            f"alias/trading-{region}-qa",
            f"aws.{region}",
        )
        # The key of AWS Backup's copies alone.
        own = [path for path in stacks[region].resources("aws_kms_key") if "backup" not in path]
        assert own == []


@pytest.mark.parametrize("user", ["master", "trade_app"])
def test_secrets_live_in_the_primary_region_with_a_replica_in_each_other_one(
    stacks: dict[str, Stack], user: str
) -> None:
    name = f"{NAME}/database/{user}"
    (secret,) = [
        secret
        for secret in stacks[PRIMARY].resources("aws_secretsmanager_secret").values()
        if secret["name"] == name
    ]
    assert secret["replica"] == [
        {
            "region": region,
            "kms_key_id": stacks[PRIMARY].reference(
                "aws_kms_key", f"encryption-{region}/key", "arn"
            ),
        }
        for region in SECONDARIES
    ]
    for region in SECONDARIES:
        assert "aws_secretsmanager_secret" not in stacks[region].counts()
        found = stacks[region].document["data"]["aws_secretsmanager_secret"].values()
        assert name in {secret["name"] for secret in found}


def test_the_master_password_is_in_no_state_and_the_cluster_gets_what_the_secret_holds(
    stacks: dict[str, Stack],
) -> None:
    stack = stacks[PRIMARY]
    made = cluster(stack)
    assert "manage_master_user_password" not in made
    assert not {"master_password", "secret_string"} & set(made)
    version = stack.only("aws_secretsmanager_secret_version")
    assert "secret_string" not in version
    assert "random_password" in version["secret_string_wo"]
    read = stack.document["ephemeral"]["aws_secretsmanager_secret_version"]["master"]
    # Through the version: read after it is written.
    assert read["secret_id"] == stack.reference(
        "aws_secretsmanager_secret_version", "global-database/master-password", "secret_id"
    )
    assert "aws_secretsmanager_secret_version.master.secret_string" in made["master_password_wo"]
    assert stack.document["terraform"]["required_version"] == ">= 1.11.0"


def test_a_higher_number_sets_a_new_master_password_on_both_sides(
    tmp_path: Path, stacks: dict[str, Stack]
) -> None:
    text = f"{FILE.read_text()}\nmaster_password_version = 2\n"
    changed = synthesized(tmp_path, text, **WITH_PRIMARY)
    found = differences(stacks[PRIMARY], changed["trading-platform-useast1-qa"])
    assert found == {
        ("aws_rds_cluster", "database/cluster"): {"master_password_wo_version"},
        ("aws_secretsmanager_secret_version", "global-database/master-password"): {
            "secret_string_wo_version"
        },
    }


def test_each_region_publishes_the_endpoints_of_its_own_cluster_and_its_own_secrets(
    stacks: dict[str, Stack],
) -> None:
    published = {
        region: {
            path.split("/")[1]: parameter["value"]
            for path, parameter in stack.resources("aws_ssm_parameter").items()
        }
        for region, stack in stacks.items()
    }
    for region in REGIONS:
        endpoint = stacks[region].reference("aws_rds_cluster", "database/cluster", "endpoint")
        assert published[region]["DatabaseWriterEndpoint"] == endpoint
        assert published[region]["DatabaseName"] == "trading"
    for region in SECONDARIES:
        for secret in ("DatabaseMasterSecretArn", "DatabaseAppSecretArn"):
            assert published[region][secret].startswith("${data.aws_secretsmanager_secret.")


def test_a_region_that_is_synthesized_alone_stays_the_same(
    tmp_path: Path, stacks: dict[str, Stack]
) -> None:
    alone = synthesized(tmp_path, FILE.read_text(), ENVIRONMENT_SUFFIX="qa", REGIONS=SECONDARIES[0])
    assert differences(stacks[SECONDARIES[0]], alone["trading-platform-useast2-qa"]) == {}


def test_the_primary_region_goes_first_and_alone() -> None:
    environment = load_environment(
        {"ENVIRONMENT_FILE": str(FILE), "REGIONS": "us-west-2,us-east-1,us-east-2"}
    )
    waves = [[region.region for region in wave] for wave in environment.waves()]
    assert waves == [["us-east-1"], ["us-west-2", "us-east-2"]]
    independent = load_environment({"ENVIRONMENT_SUFFIX": "none", "REGIONS": ",".join(REGIONS)})
    assert [len(wave) for wave in independent.waves()] == [3]


def test_what_a_global_database_costs_on_top_is_estimated(stacks: dict[str, Stack]) -> None:
    found = estimate([stack.document for stack in stacks.values()], load_prices())
    assert not found.unpriced
    dollars: dict[str, list[tuple[str, float]]] = {}
    for item in found.items:
        dollars.setdefault(item.charge.what, []).append((item.region, item.dollars))
    # 2 million writes for each secondary cluster, and each of two secrets in two more regions.
    assert dollars["replicated writes"] == [(region, 0.40) for region in SECONDARIES]
    assert dollars["replica in another region"] == [(PRIMARY, 2 * 0.40)] * 2
    assert "master user's secret" not in dollars


def test_a_region_without_a_writer_is_no_alarm_but_a_silent_one_is(
    stacks: dict[str, Stack],
) -> None:
    for stack in stacks.values():
        alarms = {
            path: alarm
            for path, alarm in stack.resources("aws_cloudwatch_metric_alarm").items()
            if "DBClusterIdentifier" in alarm["dimensions"]
        }
        alive = alarms.pop("observability/alarm-cluster-cpu")
        assert set(alive["dimensions"]) == {"DBClusterIdentifier"}
        assert alive["treat_missing_data"] == "breaching"
        assert {alarm["treat_missing_data"] for alarm in alarms.values()} == {"notBreaching"}
        lag = alarms.pop("observability/alarm-cluster-global-lag")
        assert lag["metric_name"] == "AuroraGlobalDBReplicationLag"
        assert set(lag["dimensions"]) == {"DBClusterIdentifier"}
        assert lag["threshold"] == 5000
        assert {alarm["dimensions"]["Role"] for alarm in alarms.values()} == {"WRITER", "READER"}
