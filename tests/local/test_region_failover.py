"""The runbook of a region failover, on the emulator and its real databases."""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import pymysql
import pytest

from infra.config.naming import global_name
from shared.naming import stack_name
from tests.support.emulator import Emulator, running_emulator, until

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbooks" / "region-failover.md"
EAST, OHIO, WEST = "us-east-1", "us-east-2", "us-west-2"
ENVIRONMENT = "rehearsal"
# Any user of the machine can connect.
PASSWORD = token_urlsafe()


class Database:
    """A global database of three regions; the first one writes."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.clusters: dict[str, dict[str, Any]] = {}
        self.rds(EAST).create_global_cluster(
            GlobalClusterIdentifier=global_name(ENVIRONMENT), Engine="aurora-mysql"
        )
        for region in (EAST, OHIO, WEST):
            primary = {
                "DatabaseName": "trading",
                "MasterUsername": "platform_admin",
                "MasterUserPassword": PASSWORD,
            }
            self.clusters[region] = self.rds(region).create_db_cluster(
                DBClusterIdentifier=stack_name(region, ENVIRONMENT),
                Engine="aurora-mysql",
                GlobalClusterIdentifier=global_name(ENVIRONMENT),
                **(primary if region == EAST else {}),
            )["DBCluster"]
        self.execute(EAST, "CREATE TABLE trades (id VARCHAR(20) PRIMARY KEY)")

    def rds(self, region: str) -> Any:
        return self.emulator.client("rds", region)

    def execute(self, region: str, sql: str) -> tuple[tuple[Any, ...], ...]:
        cluster = self.clusters[region]
        with (
            pymysql.connect(
                host=cluster["Endpoint"],
                port=cluster["Port"],
                user="platform_admin",
                password=PASSWORD,
                database="trading",
                autocommit=True,
                ssl={"ca": str(self.emulator.folder / "tls" / "ca.pem")},
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
            return tuple(cursor.fetchall())

    def book(self, region: str, trade: str) -> None:
        self.execute(region, f"INSERT INTO trades VALUES ('{trade}')")

    def trades(self, region: str) -> set[str]:
        try:
            return {row[0] for row in self.execute(region, "SELECT id FROM trades")}
        except pymysql.MySQLError:
            return set()  # a server that was recreated has nothing yet, not even users

    def follows(self, region: str, trades: set[str]) -> None:
        until(lambda: self.trades(region) == trades, f"{region} to have {trades}", seconds=20)

    def run(self, heading: str, source: str, target: str) -> Any:
        """Run the runbook's command under a heading, like the AWS CLI."""
        section = RUNBOOK.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        (command,) = re.findall(r"^aws rds .*$", section, re.MULTILINE)
        variables = {
            "FROM": source,
            "TO": target,
            "GLOBAL": global_name(ENVIRONMENT),
            "TARGET": self.clusters[target]["DBClusterArn"],
        }
        _, _, verb, *words = shlex.split(string.Template(command).substitute(variables))
        options = {
            "".join(part.capitalize() for part in name.split("-")): value or True
            for name, value in re.findall(r"--([\w-]+)(?: (?!--)(\S+))?", shlex.join(words))
        }
        region = options.pop("Region")
        return getattr(self.rds(region), verb.replace("-", "_"))(**options)

    def writers(self) -> list[str]:
        found = self.run("Where it writes now", EAST, WEST)["GlobalClusters"][0]
        members = found["GlobalClusterMembers"]
        assert len(members) == 3
        return [m["DBClusterArn"].split(":")[3] for m in members if m["IsWriter"]]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with running_emulator(tmp_path_factory.mktemp("regions") / "local") as emulator:
        yield Database(emulator)


def test_the_runbook_moves_the_database_and_back_and_loses_only_what_it_says(
    database: Database,
) -> None:
    assert database.writers() == [EAST]
    database.book(EAST, "first")
    for region in (OHIO, WEST):
        database.follows(region, {"first"})
        with pytest.raises(pymysql.MySQLError, match="read-only"):
            database.book(region, "refused")

    database.book(EAST, "at the last moment")
    database.run("Planned switchover", EAST, WEST)
    assert database.writers() == [WEST]
    assert database.trades(WEST) == {"first", "at the last moment"}
    with pytest.raises(pymysql.MySQLError, match="read-only"):
        database.book(EAST, "refused")
    database.book(WEST, "in the west")
    booked = {"first", "at the last moment", "in the west"}
    for region in (EAST, OHIO):
        database.follows(region, booked)

    # These changes never leave the lost region.
    database.execute(EAST, "STOP REPLICA")
    database.book(WEST, "lost")
    database.run("Failover after the loss of a region", WEST, EAST)
    assert database.writers() == [EAST]
    database.book(EAST, "in the east again")
    for region in (OHIO, WEST):
        database.follows(region, booked | {"in the east again"})
    with pytest.raises(pymysql.MySQLError, match="read-only"):
        database.book(WEST, "refused")


def test_roles_and_data_outlive_the_emulator(database: Database) -> None:
    before = database.trades(EAST)
    database.emulator.kill()
    database.emulator.start()
    assert database.writers() == [EAST]
    database.book(EAST, "after the restart")
    database.follows(WEST, before | {"after the restart"})


def test_a_region_that_leaves_keeps_its_data_and_accepts_writes(database: Database) -> None:
    before = database.trades(OHIO)
    database.rds(EAST).remove_from_global_cluster(
        GlobalClusterIdentifier=global_name(ENVIRONMENT),
        DbClusterIdentifier=database.clusters[OHIO]["DBClusterArn"],
    )
    database.book(OHIO, "on its own")
    assert database.trades(OHIO) == before | {"on its own"}
    assert "on its own" not in database.trades(EAST)


def test_the_master_user_makes_no_routine_of_the_servers_administrator(database: Database) -> None:
    """Such a routine could let the server write any file of the user who runs it."""
    with pytest.raises(pymysql.OperationalError, match="SYSTEM_USER"):
        database.execute(EAST, "CREATE DEFINER=root@localhost PROCEDURE p() SELECT 1")
