"""Aurora MySQL clusters with a database.

AWS: a cluster's endpoints reach a database with the initial schema and the master user.
ministack: starts a database in Docker with a cluster's first instance. Without Docker there is no
database, and the endpoints change to "localhost" once instances exist.
Here: each cluster has its own MySQL server on 127.0.0.1, from creation to deletion. The creation
response already has the server's address and port. The port stands for the address on AWS, so it
belongs to the cluster's name. A supervisor restarts servers that die.
Remove once ministack runs databases without Docker.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ministack.services import rds

from local.database_server import MySQLError, MySQLServer, TLSFiles, ensure_tls_files
from local.emulator.databases.replication import (
    CREATIONS,
    follow,
    is_follower,
    options,
    restore,
    writer_of,
)
from local.emulator.installation import HOST, REGION, Installation, port_is_free
from local.emulator.rds_actions import (
    ActionError,
    Parameters,
    Record,
    after_cluster,
    restore_source,
    restore_time,
    value,
)

_ENGINE = "aurora-mysql"
_SUPERVISION_SECONDS = 1.0
_RETRY_SECONDS = 15.0
_MARK = "_has_database"
_FOLDER = "_database_folder"
# With SYSTEM_USER, a routine could run in the name of `root`, who may have the server write any
# file of the user that runs it.
# https://dev.mysql.com/doc/refman/8.4/en/privileges-provided.html#priv_system-user
_NOT_GRANTED = "SUPER, SYSTEM_USER, SYSTEM_VARIABLES_ADMIN, CONNECTION_ADMIN"
_FORMER_PORTS = "_ports_of_former_names"

logger = logging.getLogger("aurora-database")


class AuroraDatabases:
    """The database servers of all of ministack's Aurora MySQL clusters."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._servers: dict[Path, MySQLServer] = {}
        self.lock = threading.RLock()
        self._retry_at: dict[Path, float] = {}
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(
            target=self._supervise, name="aurora-supervisor", daemon=True
        )

    def install(self) -> None:
        """Extend ministack's cluster actions with databases."""
        rds._MINISTACK_HOST = HOST  # ministack's endpoint once instances exist
        after_cluster("CreateDBCluster", self._created)
        after_cluster("ModifyDBCluster", self._modified)
        after_cluster("FailoverDBCluster", self._failed_over)
        after_cluster("DeleteDBCluster", self._deleted)

    def start(self) -> None:
        """Start or adopt the servers of all restored clusters, and watch them."""
        with self.lock:
            known = {self._folder(region, cluster) for region, cluster in _clusters()}
            for folder in self._installation.databases.glob("*/*"):
                if folder not in known:
                    # The emulator crashed before it saved the cluster, or its state was lost.
                    # Keep the data.
                    _stop(MySQLServer(folder, 0))
            self._heal()
        self._supervisor.start()

    def stop(self) -> None:
        """Shut all servers down cleanly."""
        self._stopping.set()
        with self.lock:
            for server in self._servers.values():
                _stop(server)

    def _created(self, parameters: Parameters, cluster: Record) -> None:
        if cluster["Engine"] != _ENGINE:
            return
        with self.lock:
            try:
                self._provide(parameters, cluster)
            except MySQLError as error:
                cluster["DeletionProtection"] = False
                rds._delete_db_cluster({"DBClusterIdentifier": cluster["DBClusterIdentifier"]})
                self._discard(self._folder(_region(cluster), cluster))
                raise ActionError(f"The cluster gets no database: {error}") from error

    def _provide(self, parameters: Parameters, cluster: Record) -> None:
        cluster.update(
            {
                "Endpoint": HOST,
                "ReaderEndpoint": HOST,
                "Port": self._port_of(_region(cluster), cluster["DBClusterIdentifier"]),
                _MARK: True,
                _FOLDER: cluster["DbClusterResourceId"],
            }
        )
        self.recreate(cluster)  # left over from a cluster that was lost in a crash
        server = self.server(cluster)
        if is_follower(cluster):
            # The database and its users come with the data.
            follow(server, self.server(writer_of(cluster)))
        elif source := restore_source(parameters):
            restore(server, self.server(source), restore_time(parameters))
        else:
            server.execute(_initial_sql(cluster))
        # A restore starts from here. Times in the log are whole seconds.
        cluster["EarliestRestorableTime"] = rds._format_time(time.time() + 1)

    def server(self, cluster: Record) -> MySQLServer:
        """The server of a cluster that has a database."""
        folder = self._folder(_region(cluster), cluster)
        server = self._servers.get(folder)
        if server is None:
            server = MySQLServer(folder, cluster["Port"], self._tls(), _requires_tls(cluster))
            self._servers[folder] = server
        server.port = cluster["Port"]  # names change
        server.options = options(cluster)  # roles change
        return server

    def recreate(self, cluster: Record) -> None:
        """Start an empty server for a cluster. Raises MySQLError."""
        cluster[CREATIONS] = cluster.get(CREATIONS, 0) + 1
        server = self.server(cluster)
        server.remove()
        server.start()

    def rename(self, cluster: Record, name: str) -> None:
        """Serve a cluster at the port of its new name. Its data stays in place."""
        port = self._port_of(_region(cluster), name)
        cluster.setdefault(_FORMER_PORTS, {})[cluster["DBClusterIdentifier"]] = cluster["Port"]
        cluster["Port"] = port
        if endpoint := cluster["_shared_endpoint"]:  # ministack copies it to further instances
            endpoint["Port"] = port
        cluster["DBClusterIdentifier"] = name
        self._heal()

    def _modified(self, parameters: Parameters, cluster: Record) -> None:
        changed = value(parameters, "MasterUserPassword") or "true" in (
            value(parameters, "RotateMasterUserPassword"),
            value(parameters, "ManageMasterUserPassword"),
        )
        if _MARK not in cluster or not changed:
            return
        with self.lock:
            try:
                self.server(cluster).execute(_master_user_sql(cluster))
            except MySQLError as error:
                raise ActionError(f"The master password was not changed: {error}") from error

    def _failed_over(self, parameters: Parameters, cluster: Record) -> None:
        """Drop all connections, like a failover."""
        if _MARK not in cluster:
            return
        with self.lock:
            server = self.server(cluster)
            try:
                server.stop()
                server.start()
            except MySQLError as error:
                raise ActionError(f"The cluster's database did not restart: {error}") from error

    def _deleted(self, parameters: Parameters, cluster: Record) -> None:
        if _MARK not in cluster:
            return
        with self.lock:
            self._discard(self._folder(_region(cluster), cluster))

    def _discard(self, folder: Path) -> None:
        server = self._servers.pop(folder, None)
        try:
            (server or MySQLServer(folder, 0)).remove()
        except MySQLError as error:
            raise ActionError(f"The cluster's database was not removed: {error}") from error

    def _folder(self, region: str, cluster: Record) -> Path:
        # Older databases are in folders with the cluster's name.
        name = cluster.get(_FOLDER, cluster["DBClusterIdentifier"])
        return self._installation.databases / region / str(name)

    def _tls(self) -> TLSFiles:
        return ensure_tls_files(
            self._installation.tls,
            (
                f"*.{REGION}.rds.amazonaws.com",
                *(f"*.{kind}.{REGION}.rds.amazonaws.com" for kind in ("cluster", "proxy")),
                # The name of this machine in the containers of `make start-api`.
                "host.docker.internal",
            ),
        )

    def _port_of(self, region: str, name: str) -> int:
        """The last port of a name, or a free one."""
        former = [
            cluster.get(_FORMER_PORTS, {}) for place, cluster in _clusters() if place == region
        ]
        for ports in former:
            if name in ports:
                return int(ports.pop(name))
        return self._free_port()

    def _free_port(self) -> int:
        taken = {
            port
            for _, cluster in _clusters()
            for port in (cluster["Port"], *cluster.get(_FORMER_PORTS, {}).values())
        }
        ports = self._installation.database_ports
        for port in ports:
            if port not in taken and port_is_free(port):
                return port
        raise MySQLError(f"no port is free from {ports.start} to {ports.stop - 1}")

    def _supervise(self) -> None:
        while not self._stopping.wait(_SUPERVISION_SECONDS):
            with self.lock:
                if not self._stopping.is_set():
                    self._heal()

    def _heal(self) -> None:
        now = time.monotonic()
        for region, cluster in _clusters():
            folder = self._folder(region, cluster)
            if self._retry_at.get(folder, 0) > now:
                continue
            try:
                server = self.server(cluster)
                if server.moved():
                    server.stop()
                if not server.running():
                    logger.warning("starting the database of %s", cluster["DBClusterIdentifier"])
                    server.start()
            except MySQLError as error:
                logger.error("database of %s: %s", cluster["DBClusterIdentifier"], error)
                self._retry_at[folder] = now + _RETRY_SECONDS


def _stop(server: MySQLServer) -> None:
    try:
        server.stop()
    except MySQLError as error:
        logger.error("%s", error)


def _clusters() -> Iterator[tuple[str, Record]]:
    for (_account, region, _identifier), cluster in rds._clusters.all_items():
        if _MARK in cluster:
            yield region, cluster


def _region(cluster: Record) -> str:
    return str(cluster["DBClusterArn"].split(":")[3])


def _requires_tls(cluster: Record) -> bool:
    region, account = cluster["DBClusterArn"].split(":")[3:5]
    group = rds._db_cluster_param_groups.get_scoped(
        account, region, cluster["DBClusterParameterGroup"]
    )
    parameters = group["Parameters"] if group else {}
    setting = parameters.get("require_secure_transport", {}).get("ParameterValue", "")
    return str(setting).upper() in ("ON", "1")


def _initial_sql(cluster: Record) -> str:
    database = cluster["DatabaseName"]
    create = f"CREATE DATABASE IF NOT EXISTS {_identifier(database)};\n" if database else ""
    return create + _master_user_sql(cluster)


def _master_user_sql(cluster: Record) -> str:
    user = f"{_literal(cluster['MasterUsername'])}@'%'"
    password = _literal(cluster["_MasterUserPassword"])
    return (
        f"CREATE USER IF NOT EXISTS {user};\n"
        f"ALTER USER {user} IDENTIFIED BY {password};\n"
        f"GRANT ALL ON *.* TO {user} WITH GRANT OPTION;\n"
        # On Aurora, nobody can write on a reader or end its read-only state.
        f"REVOKE {_NOT_GRANTED} ON *.* FROM {user};\n"
    )


def _identifier(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
