"""Copies one cluster's data to another's server: continuously, or up to a time.

MySQL's replication stands in for Aurora's storage replication and for its backups. It has the same
properties: a follower refuses writes, lags, and lacks what was not replicated before its promotion.
Each server keeps its whole binary log, so that another one can start at any time.
"""

from __future__ import annotations

import zlib
from datetime import datetime

from ministack.services import rds

from local.database_server import REPLICATION_USER, MySQLError, MySQLServer
from local.emulator.databases.binary_log import NAME, transactions_before
from local.emulator.installation import HOST
from local.emulator.rds_actions import Record

CREATIONS = "_times_created"
_CATCH_UP_SECONDS = 20
_EXECUTED = "SELECT REPLACE(@@GLOBAL.gtid_executed, '\\n', '');"


class NotInStep(Exception):
    """A follower did not catch up with the writer in time."""


def options(cluster: Record) -> tuple[str, ...]:
    """A server's start options that let others copy its data.

    It writes a binary log, as durable as its data. Each server gets a unique id, and a new one when
    recreated; otherwise it would skip its own replicated events.
    """
    identity = f"{cluster['DbClusterResourceId']} {cluster.get(CREATIONS, 1)}"
    return (
        f"--server-id={zlib.crc32(identity.encode()) or 1}",
        f"--log-bin={NAME}",
        "--binlog-expire-logs-auto-purge=OFF",
        "--sync-binlog=1",
        "--gtid-mode=ON",
        "--enforce-gtid-consistency=ON",
        f"--super-read-only={'ON' if is_follower(cluster) else 'OFF'}",
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


def follow(server: MySQLServer, source: MySQLServer) -> None:
    """Let a server follow another one, from its own last change on."""
    server.execute(f"{_WRITES_OFF}STOP REPLICA;\n{_changes_from(source, server)}START REPLICA;\n")


def stop_following(server: MySQLServer) -> None:
    """Stop following. The server still refuses writes."""
    server.execute("STOP REPLICA;")


def promote(server: MySQLServer) -> None:
    """Promote a follower; it loses what was not replicated."""
    server.execute(f"STOP REPLICA;\nRESET REPLICA ALL;\n{_WRITES_ON}")


def restore(server: MySQLServer, source: MySQLServer, before: datetime | None) -> None:
    """Copy another server's data, as of a time or as of now, to an empty server.

    Raises:
        MySQLError: the changes could not be applied, or a server does not answer.
    """
    if before is None:
        wanted = source.execute(_EXECUTED).strip()
    else:
        wanted = transactions_before(before, source.data)
    if not wanted:
        return
    server.execute(
        # Only the end result must be durable.
        _durability(0)
        + _changes_from(source, server)
        + f"START REPLICA UNTIL SQL_AFTER_GTIDS = '{wanted}';\n"
    )
    running = True
    while server.execute(f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{wanted}', 1);").strip() != "0":
        if not running:
            raise MySQLError(f"the log of {source.folder} cannot be applied from its start")
        replica = server.row("SHOW REPLICA STATUS;")
        running = replica["Replica_SQL_Running"] == "Yes" and replica["Replica_IO_Running"] != "No"
    promote(server)
    server.execute(_durability(1) + "FLUSH LOGS;\n")


def switch(old: MySQLServer, new: MySQLServer) -> None:
    """Promote a follower once it has all of the writer's changes; nothing is lost.

    Raises:
        NotInStep: it does not catch up in time; the old writer stays.
        MySQLError: a server does not answer.
    """
    old.execute(_WRITES_OFF)
    position = old.execute(_EXECUTED).strip()
    waited = new.execute(
        f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{position}', {_CATCH_UP_SECONDS});",
        _CATCH_UP_SECONDS + 10,
    )
    if waited.strip() != "0":
        old.execute(_WRITES_ON)
        raise NotInStep
    promote(new)


_WRITES_OFF = "SET GLOBAL super_read_only = ON;\n"
_WRITES_ON = "SET GLOBAL super_read_only = OFF;\nSET GLOBAL read_only = OFF;\n"


def _durability(flushes: int) -> str:
    return (
        f"SET GLOBAL sync_binlog = {flushes}, GLOBAL innodb_flush_log_at_trx_commit = {flushes};\n"
    )


def _changes_from(source: MySQLServer, server: MySQLServer) -> str:
    authority = server.tls.ca if server.tls else ""
    return (
        f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = '{HOST}', SOURCE_PORT = {source.port}, "
        f"SOURCE_USER = '{REPLICATION_USER}', SOURCE_PASSWORD = '{source.replication_password}', "
        f"SOURCE_SSL = 1, SOURCE_SSL_CA = '{authority}', SOURCE_CONNECT_RETRY = 1, "
        "SOURCE_AUTO_POSITION = 1;\n"
    )
