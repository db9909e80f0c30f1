"""How the server of one cluster gets the data of another one: for good, or up to a time.

MariaDB's replication stands in for that of Aurora's storage, and for its backups. It is as real: a
follower takes no writes, lags, and lacks what had not reached it when it is promoted. So that it
can be had at any time, each server keeps its binary log from the first change on.
"""

from __future__ import annotations

import secrets
import zlib
from datetime import datetime

from ministack.services import rds

from local.database_server import MariaDBError, MariaDBServer
from local.emulator.databases.binary_log import NAME, position_before
from local.emulator.rds_actions import Record
from local.emulator.settings import HOST

MADE = "_times_made"
_USER = "rdsrepladmin"
_RESTORER = "rdsrestoreadmin"
_CATCH_UP_SECONDS = 20


class NotInStep(Exception):
    """A follower did not catch up with the writer in time."""


def options(cluster: Record) -> tuple[str, ...]:
    """What a server is started with so that others can have its data.

    It writes a binary log, as durable as its data. Each server gets a unique id, and a new one when
    recreated; otherwise it would skip its own replicated events.
    """
    identity = f"{cluster['DbClusterResourceId']} {cluster.get(MADE, 1)}"
    return (
        f"--server-id={zlib.crc32(identity.encode()) or 1}",
        f"--log-bin={NAME}",
        "--sync-binlog=1",
        "--log-slave-updates=ON",
        "--binlog-format=ROW",
        # The instances' parameter group says so, too: migrations create triggers.
        "--log-bin-trust-function-creators=ON",
        f"--read-only={'ON' if is_follower(cluster) else 'OFF'}",
    )


def is_follower(cluster: Record) -> bool:
    """Whether the cluster is a secondary one of a global database."""
    _, member = rds._global_cluster_member_for_cluster(cluster)
    return bool(member) and not member["IsWriter"]


def writer_of(cluster: Record) -> Record:
    """The cluster that writes in a cluster's global database."""
    found, _ = rds._global_cluster_member_for_cluster(cluster)
    writer: Record = rds._global_cluster_writer_cluster(found)
    return writer


def make_source(server: MariaDBServer, cluster: Record) -> None:
    """Have a user by which others replicate the server."""
    password = _password(cluster)
    server.execute(
        f"CREATE USER IF NOT EXISTS {_USER}@'%' IDENTIFIED BY '{password}' REQUIRE SSL;\n"
        f"GRANT REPLICATION SLAVE ON *.* TO {_USER}@'%';\n"
    )


def follow(server: MariaDBServer, source: MariaDBServer, cluster: Record) -> None:
    """Let a server take its changes from another one, from the last that it has on."""
    server.execute(
        "SET GLOBAL read_only = ON;\n"
        + _changes_from(source, server, _USER, _password(cluster))
        + "START SLAVE;\n"
    )


def promote(server: MariaDBServer) -> None:
    """Let a follower take writes; what has not reached it is lost to it."""
    server.execute("STOP SLAVE;\nRESET SLAVE ALL;\nSET GLOBAL read_only = OFF;\n")


def restore(server: MariaDBServer, source: MariaDBServer, before: datetime | None) -> None:
    """Let an empty server have what another one had before a time, or has now.

    Raises:
        MariaDBError: the changes could not be applied, or a server does not answer.
    """
    if before is None:
        position = source.execute("SELECT @@gtid_binlog_pos;").strip()
    else:
        position = position_before(before, source.folder / "data")
    password = secrets.token_hex()
    user = f"{_RESTORER}@'%'"
    # Not in the log: nobody else who is restored from it gets this user.
    source.execute(
        "SET sql_log_bin = 0;\n"
        f"CREATE OR REPLACE USER {user} IDENTIFIED BY '{password}' REQUIRE SSL;\n"
        f"GRANT REPLICATION SLAVE ON *.* TO {user};\n"
    )
    try:
        server.execute(
            # Each change by itself need not be durable, as long as all of them are in the end.
            _durability(0)
            + _changes_from(source, server, _RESTORER, password)
            + f"START SLAVE UNTIL MASTER_GTID_POS = '{position}';\n"
        )
        running = True
        while server.execute(f"SELECT MASTER_GTID_WAIT('{position}', 1);").strip() != "0":
            if not running:
                raise MariaDBError(f"the log of {source.folder} cannot be applied from its start")
            running = "ON" in server.execute("SHOW STATUS LIKE 'Slave_running';")
        promote(server)
        server.execute(_durability(1) + "FLUSH LOGS;\n")
    finally:
        source.execute(f"SET sql_log_bin = 0;\nDROP USER {user};\n")


def switch(old: MariaDBServer, new: MariaDBServer) -> None:
    """Make a follower the writer once it has all that the old one has; nothing is lost.

    Raises:
        NotInStep: it does not catch up in time; the old one goes on as it was.
        MariaDBError: a server does not answer.
    """
    old.execute("SET GLOBAL read_only = ON;")
    position = old.execute("SELECT @@gtid_binlog_pos;").strip()
    waited = new.execute(
        f"SELECT MASTER_GTID_WAIT('{position}', {_CATCH_UP_SECONDS});", _CATCH_UP_SECONDS + 10
    )
    if waited.strip() != "0":
        old.execute("SET GLOBAL read_only = OFF;")
        raise NotInStep
    promote(new)
    old.execute(f"SET GLOBAL gtid_slave_pos = '{position}';")


def _durability(flushes: int) -> str:
    return (
        f"SET GLOBAL sync_binlog = {flushes}, GLOBAL innodb_flush_log_at_trx_commit = {flushes};\n"
    )


def _changes_from(source: MariaDBServer, server: MariaDBServer, user: str, password: str) -> str:
    authority = server.tls.ca if server.tls else ""
    return (
        f"CHANGE MASTER TO MASTER_HOST = '{HOST}', MASTER_PORT = {source.port}, "
        f"MASTER_USER = '{user}', MASTER_PASSWORD = '{password}', "
        f"MASTER_SSL = 1, MASTER_SSL_CA = '{authority}', MASTER_CONNECT_RETRY = 1, "
        "MASTER_USE_GTID = slave_pos;\n"
    )


def _password(cluster: Record) -> str:
    # Known to all members, and to nobody who may not replicate anyway.
    return f"replication-of-{cluster['GlobalClusterIdentifier']}"
