"""Point-in-time recovery of the emulator's clusters, and their renaming."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pymysql
import pytest
from botocore.exceptions import ClientError

from infra.config.aurora import ENGINE_VERSIONS
from tests.support.emulator import Emulator, create_cluster, query, running_emulator
from tests.support.runbooks import commands, run

NEWEST = ENGINE_VERSIONS[-1]


class Book:
    """A cluster with a table, and its restored copies."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.rds = emulator.client("rds")
        self.cluster = create_cluster(emulator, Tags=[{"Key": "team", "Value": "platform"}])
        query(emulator, self.cluster, "CREATE TABLE trades (id VARCHAR(20) PRIMARY KEY)")

    def book(self, trade: str) -> None:
        query(self.emulator, self.cluster, f"INSERT INTO trades VALUES ('{trade}')")

    def restore(self, name: str, **to: Any) -> dict[str, Any]:
        self.rds.restore_db_cluster_to_point_in_time(
            SourceDBClusterIdentifier="trades", DBClusterIdentifier=name, **to
        )
        restored = self.described(name)
        assert "MasterUserSecret" not in restored
        self.rds.modify_db_cluster(
            DBClusterIdentifier=name, ManageMasterUserPassword=True, ApplyImmediately=True
        )
        return self.described(name)

    def described(self, name: str) -> dict[str, Any]:
        found = self.rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
        return dict(found)

    def rename(self, name: str, to: str) -> None:
        self.rds.modify_db_cluster(
            DBClusterIdentifier=name, NewDBClusterIdentifier=to, ApplyImmediately=True
        )

    def trades(self, cluster: dict[str, Any]) -> set[str]:
        return {row[0] for row in query(self.emulator, cluster, "SELECT id FROM trades")}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    with running_emulator(tmp_path_factory.mktemp("restore") / "local") as emulator:
        yield Book(emulator)


def next_second() -> datetime:
    """A time between the earlier and the later changes; the log has whole seconds."""
    time.sleep(1)
    now = datetime.now(UTC)
    time.sleep(1)
    return now


def test_the_commands_of_an_upgrade_leave_a_snapshot_and_go_back_to_it(book: Book) -> None:
    variables = {
        **os.environ,
        "AWS_ENDPOINT_URL": book.emulator.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "REGION": "us-east-1",
        "ENVIRONMENT_SUFFIX": "dev",
        "CLUSTER": "trades",
    }
    subnets = book.emulator.client("ec2").describe_subnets()["Subnets"]
    book.rds.create_db_subnet_group(
        DBSubnetGroupName="trades",
        DBSubnetGroupDescription="Private",
        SubnetIds=[subnet["SubnetId"] for subnet in subnets],
    )
    book.rds.create_db_cluster_parameter_group(
        DBClusterParameterGroupName="trades",
        DBParameterGroupFamily="aurora-mysql8.0",
        Description="TLS only",
    )
    book.book("before-the-upgrade")
    before, targets, back = commands("upgrade", "how-to")
    printed = run(f'{before}{targets}echo "version=$VERSION"', variables)
    version = book.cluster["EngineVersion"]
    assert f"version={version}" in printed
    snapshots = book.rds.describe_db_cluster_snapshots(DBClusterIdentifier="trades")
    (snapshot,) = snapshots["DBClusterSnapshots"]
    assert snapshot["DBClusterSnapshotIdentifier"] == "trades-before-upgrade"
    assert snapshot["EngineVersion"] == version

    # What Terraform does for a file with a higher version.
    book.rds.modify_db_cluster(
        DBClusterIdentifier="trades", EngineVersion=NEWEST, ApplyImmediately=True
    )
    assert book.described("trades")["EngineVersion"] == NEWEST != version
    assert book.trades(book.cluster) == {"before-the-upgrade"}

    book.book("after-the-upgrade")
    names = {"SNAPSHOT": "trades-before-upgrade", "VERSION": version}
    assert run(back, variables, **names).splitlines()[-1] == version
    book.rds.modify_db_cluster(
        DBClusterIdentifier="trades-restored",
        ManageMasterUserPassword=True,
        ApplyImmediately=True,
    )
    assert book.trades(book.described("trades-restored")) == {"before-the-upgrade"}
    query(book.emulator, book.cluster, "DELETE FROM trades")

    for name, error in (
        ("none", "DBClusterSnapshotNotFoundFault"),
        ("of-the-restored", "InvalidDBClusterSnapshotStateFault"),
    ):
        if name != "none":
            book.rds.create_db_cluster_snapshot(
                DBClusterIdentifier="trades-restored", DBClusterSnapshotIdentifier=name
            )
            book.rds.delete_db_cluster(
                DBClusterIdentifier="trades-restored", SkipFinalSnapshot=True
            )
        with pytest.raises(ClientError) as refused:
            book.rds.restore_db_cluster_from_snapshot(
                DBClusterIdentifier="refused", SnapshotIdentifier=name, Engine="aurora-mysql"
            )
        assert refused.value.response["Error"]["Code"] == error


def test_a_restored_cluster_has_what_was_there_at_the_time(book: Book) -> None:
    book.book("before")
    moment = next_second()
    book.book("after")
    query(book.emulator, book.cluster, "DELETE FROM trades WHERE id = 'before'")

    restored = book.restore("restored", RestoreToTime=moment)
    assert book.trades(restored) == {"before"}
    assert book.trades(book.restore("latest", UseLatestRestorableTime=True)) == {"after"}
    assert book.trades(book.cluster) == {"after"}
    assert restored["Status"] == "available"
    assert restored["DBClusterMembers"] == []
    source = book.described("trades")
    for kept in ("EngineVersion", "MasterUsername", "DatabaseName", "BackupRetentionPeriod"):
        assert restored[kept] == source[kept]
    for cluster in (book.cluster, restored):
        users = query(book.emulator, cluster, "SELECT User FROM mysql.user WHERE Host = '%'")
        assert users == (("tradingadmin",),)


def test_a_restored_cluster_can_be_restored_itself(book: Book) -> None:
    query(book.emulator, book.described("restored"), "INSERT INTO trades VALUES ('later')")
    book.rds.restore_db_cluster_to_point_in_time(
        SourceDBClusterIdentifier="restored",
        DBClusterIdentifier="again",
        UseLatestRestorableTime=True,
    )
    again = {
        **book.described("again"),
        "MasterUserSecret": book.described("restored")["MasterUserSecret"],
    }
    assert book.trades(again) == {"before", "later"}
    book.rds.delete_db_cluster(DBClusterIdentifier="again", SkipFinalSnapshot=True)


@pytest.mark.parametrize(
    ("request_", "error", "reason"),
    [
        ({"SourceDBClusterIdentifier": "none"}, "DBClusterNotFoundFault", "none not found"),
        ({"DBClusterIdentifier": "trades"}, "DBClusterAlreadyExistsFault", "already exists"),
        ({"UseLatestRestorableTime": False}, "InvalidParameterCombination", "Exactly one"),
        ({"RestoreToTime": datetime.now(UTC)}, "InvalidParameterCombination", "Exactly one"),
        (
            {
                "UseLatestRestorableTime": False,
                "RestoreToTime": datetime.now(UTC) + timedelta(days=1),
            },
            "InvalidParameterValue",
            "later than",
        ),
        (
            {
                "UseLatestRestorableTime": False,
                "RestoreToTime": datetime.now(UTC) - timedelta(days=2),
            },
            "InvalidParameterValue",
            "earlier than .* set to 1 days",
        ),
    ],
)
def test_what_cannot_be_restored_is_refused(
    book: Book, request_: dict[str, Any], error: str, reason: str
) -> None:
    before = book.emulator.database_pids()
    usual = {
        "SourceDBClusterIdentifier": "trades",
        "DBClusterIdentifier": "refused",
        "UseLatestRestorableTime": True,
    }
    with pytest.raises(ClientError, match=reason) as refused:
        book.rds.restore_db_cluster_to_point_in_time(**(usual | request_))
    assert refused.value.response["Error"]["Code"] == error
    assert book.emulator.database_pids() == before


def test_a_log_that_is_not_whole_restores_nothing(book: Book) -> None:
    broken = create_cluster(book.emulator, "broken")
    query(book.emulator, broken, "CREATE TABLE trades (id VARCHAR(20) PRIMARY KEY)")
    query(book.emulator, broken, "FLUSH BINARY LOGS")
    query(book.emulator, broken, "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 HOUR")
    query(book.emulator, broken, "INSERT INTO trades VALUES ('lost')")
    before = book.emulator.database_pids()
    with pytest.raises(ClientError, match="cannot be applied from its start"):
        book.rds.restore_db_cluster_to_point_in_time(
            SourceDBClusterIdentifier="broken",
            DBClusterIdentifier="refused",
            UseLatestRestorableTime=True,
        )
    assert book.emulator.database_pids() == before
    book.rds.delete_db_cluster(DBClusterIdentifier="broken", SkipFinalSnapshot=True)


def test_a_name_leads_to_the_cluster_that_has_it(book: Book) -> None:
    for name, cluster in (("writer", "trades"), ("other", "restored")):
        book.rds.create_db_instance(
            DBInstanceIdentifier=name,
            DBClusterIdentifier=cluster,
            DBInstanceClass="db.r5.large",
            Engine="aurora-mysql",
        )
    before, restored = book.described("trades"), book.described("restored")
    with pytest.raises(ClientError, match="latest already exists"):
        book.rename("trades", "latest")
    book.rename("trades", "damaged")
    with pytest.raises(pymysql.Error):
        book.trades(before)
    book.rename("restored", "trades")
    book.rds.modify_db_instance(
        DBInstanceIdentifier="other", NewDBInstanceIdentifier="reader", ApplyImmediately=True
    )

    book.rds.create_db_instance(
        DBInstanceIdentifier="third",
        DBClusterIdentifier="trades",
        DBInstanceClass="db.r5.large",
        Engine="aurora-mysql",
    )

    def swapped() -> None:
        after, damaged = book.described("trades"), book.described("damaged")
        assert (after["Port"], after["DBClusterArn"]) == (before["Port"], before["DBClusterArn"])
        assert after["DbClusterResourceId"] == restored["DbClusterResourceId"]
        assert [m["DBInstanceIdentifier"] for m in after["DBClusterMembers"]] == ["reader", "third"]
        for name in ("reader", "third"):
            (instance,) = book.rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
            assert instance["DBClusterIdentifier"] == "trades"
            assert instance["Endpoint"]["Port"] == before["Port"]
        assert book.trades(after) == {"before", "later"}
        assert book.trades(damaged) == {"after"}
        assert damaged["TagList"] == [{"Key": "team", "Value": "platform"}]

    swapped()
    book.emulator.kill()
    book.emulator.start()
    swapped()
    book.emulator.stop()
    book.emulator.start()
    swapped()


def test_a_change_of_name_that_was_not_saved_has_not_happened(book: Book) -> None:
    """The emulator dies between the change and its answer, so the old name is back."""
    state = book.emulator.folder / "emulator" / "state" / "rds.json"
    saved, before = state.read_bytes(), book.described("trades")
    book.rename("trades", "moved")
    book.emulator.kill()
    state.write_bytes(saved)
    book.emulator.start()
    assert book.described("trades")["Port"] == before["Port"]
    assert book.trades(before) == {"before", "later"}
