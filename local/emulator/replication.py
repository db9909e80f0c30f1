"""Which cluster of a global database writes, and how the servers of the others follow it.

MariaDB's replication stands in for that of Aurora's storage. It is as real: a follower takes no
writes, lags, and lacks what had not reached it when it is promoted.
"""

from __future__ import annotations

import zlib

from ministack.services import rds

from local.emulator.rds_actions import Record
from local.emulator.settings import HOST
from local.mariadb import MariaDBServer

MADE = "_times_made"
_USER = "rdsrepladmin"
_CATCH_UP_SECONDS = 20


class NotInStep(Exception):
    """A follower did not catch up with the writer in time."""


def options(cluster: Record) -> tuple[str, ...]:
    """What a server is started with for its part in a global database; nothing without one.

    It writes a binary log, from which the others replicate. Its number is another one once it was
    made anew: it would take changes under its own number for such that it has.
    """
    if not cluster.get("GlobalClusterIdentifier"):
        return ()
    number = zlib.crc32(f"{cluster['DBClusterArn']} {cluster.get(MADE, 1)}".encode()) or 1
    return (
        f"--server-id={number}",
        "--log-bin=binlog",
        "--log-slave-updates=ON",
        "--binlog-format=ROW",
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
    authority = server.tls.ca if server.tls else ""
    server.execute(
        "SET GLOBAL read_only = ON;\n"
        f"CHANGE MASTER TO MASTER_HOST = '{HOST}', MASTER_PORT = {source.port}, "
        f"MASTER_USER = '{_USER}', MASTER_PASSWORD = '{_password(cluster)}', "
        f"MASTER_SSL = 1, MASTER_SSL_CA = '{authority}', MASTER_CONNECT_RETRY = 1, "
        "MASTER_USE_GTID = slave_pos;\n"
        "START SLAVE;\n"
    )


def promote(server: MariaDBServer) -> None:
    """Let a follower take writes; what has not reached it is lost to it."""
    server.execute("STOP SLAVE;\nRESET SLAVE ALL;\nSET GLOBAL read_only = OFF;\n")


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


def _password(cluster: Record) -> str:
    # Known to all members, and to nobody who may not replicate anyway.
    return f"replication-of-{cluster['GlobalClusterIdentifier']}"
