"""One writer and two readers, as in an Aurora MySQL cluster: MySQL servers that replicate.

What Aurora promises, and what keeps the promise here:

- An acknowledged commit survives the loss of any server. Aurora's servers share a storage that has
  the commit in several zones before it is acknowledged. Here, semi-synchronous replication
  (`AFTER_SYNC`, no time limit) sends it to a reader before the writer commits it: nobody sees a
  trade that only one server has.
- A failover promotes a reader that has all acknowledged commits. Here, that is the reader that
  received most, once it has applied all of it.
- The old writer comes back as a reader with the same data. Here, a writer that has transactions
  which no reader had confirmed is recreated from the new writer's log.
- An endpoint leads to a server that has all acknowledged commits. Here, the writer's endpoint opens
  again once a reader has caught up: before that, the answer to a repeated request could show a
  trade that only one server has.

Aurora: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Concepts.AuroraHighAvailability.html
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor, DictCursor
from pymysql.err import OperationalError

from local.database_server import REPLICATION_USER, MySQLServer, TLSFiles
from tests.support.endpoint import Endpoint
from tests.support.ports import free_port
from trading.database import connect
from trading.secret import Credentials
from trading.settings import Address

DATABASE = "trading"
# Any user of the machine can connect, and this one can write files of the server's user.
ADMIN = Credentials("platform_admin", token_urlsafe())
_PATIENCE_SECONDS = 60
_POLL_SECONDS = 0.02
# The file that holds all tables ends here: InnoDB then answers as if the disk were full.
_DISK_MEGABYTES = 256
# How many rows of a page each are inserted per statement, until not even one fits.
_BALLAST_ROWS = (512, 128, 32, 8, 2, 1)

_OPTIONS = (
    "--plugin-load=semisync_source.so;semisync_replica.so",
    "--log-bin=binlog",
    "--relay-log=relay",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    # What a killed server has given to the system is not lost, and no machine is switched off.
    "--sync-binlog=0",
    "--innodb-flush-log-at-trx-commit=2",
    "--replica-parallel-workers=2",
    "--replica-preserve-commit-order=ON",
    "--skip-replica-start",
    "--replica-net-timeout=5",
    "--relay-log-recovery=ON",
    "--rpl-semi-sync-source-wait-point=AFTER_SYNC",
    f"--rpl-semi-sync-source-timeout={24 * 60 * 60 * 1000}",
    "--innodb-file-per-table=0",
    f"--innodb-data-file-path=ibdata1:12M:autoextend:max:{_DISK_MEGABYTES}M",
    "--innodb-autoextend-increment=4",
)
# As a server starts; a promotion changes it.
_AS_WRITER = ("--rpl-semi-sync-source-enabled=1",)
_AS_READER = ("--rpl-semi-sync-replica-enabled=1", "--super-read-only=1")


class Cluster:
    """The servers, and the two endpoints that lead to them."""

    def __init__(self, folder: Path, tls: TLSFiles, writer: Endpoint, reader: Endpoint) -> None:
        self._ca = str(tls.ca)
        self.servers = tuple(
            MySQLServer(folder / f"server-{number}", free_port(), tls, require_tls=True)
            for number in (1, 2, 3)
        )
        self._ids = {server.port: number for number, server in enumerate(self.servers, 1)}
        self.writer = self.servers[0]
        self.writer_endpoint = writer
        self.reader_endpoint = reader

    @property
    def readers(self) -> tuple[MySQLServer, ...]:
        """All servers but the writer."""
        return tuple(server for server in self.servers if server is not self.writer)

    def start(self) -> None:
        """Start the servers, with an empty database and an administrator."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._prepare, self.servers))
        for reader in self.readers:
            self._follow(reader)
        self.writer.execute(f"CREATE DATABASE {DATABASE}")
        self._open()

    def stop(self) -> None:
        """Stop the servers."""
        for server in (*self.readers, self.writer):
            server.stop()

    def connect(self, server: MySQLServer, database: str = DATABASE) -> Connection[Cursor]:
        """An administrator's connection to one server, past the endpoints."""
        return connect(
            Address("127.0.0.1", server.port, database, self._ca),
            ADMIN,
            statement_seconds=_PATIENCE_SECONDS,
        )

    def kill(self, server: MySQLServer) -> None:
        """Kill a server, as `kill -9` does; the endpoints do not notice."""
        pid = server.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        _wait(lambda: not server.running(), "the killed server is gone")

    def restart_writer(self) -> None:
        """Start the killed writer again as the writer: Aurora, without a reader to promote."""
        self.writer_endpoint.lead_to()
        self._start(self.writer, _AS_WRITER)
        self._open()

    def restart_reader(self, reader: MySQLServer) -> None:
        """Start a killed reader again."""
        self.reader_endpoint.lead_to(*(r.port for r in self.readers if r is not reader))
        self._start(reader, _AS_READER)
        self._follow(reader)
        self._open()

    def fail_over(self) -> None:
        """Promote a reader in place of the killed writer, which then starts again as a reader."""
        old = self.writer
        self.writer_endpoint.lead_to()
        heir, other = self.readers
        if not self._has(heir, self._received(other), self._received(heir)):
            heir, other = other, heir
        received = self._received(heir)
        _wait(lambda: self._has(heir, received), "the heir has applied what it received")
        self._promote(heir)
        self._follow(other)
        self._open(other)
        self._rejoin(old)
        self._open()

    def _rejoin(self, old: MySQLServer) -> None:
        """Make a killed writer a reader, without what it had written and no reader had confirmed.

        As it starts, it commits all that is in its log. So it is recreated if that is too much.
        """
        self._start(old, _AS_READER)
        if not self._has(self.writer, self._executed(old)):
            old.remove()
            self._ids[old.port] = max(self._ids.values()) + 1
            self._prepare(old)
        self._follow(old)

    def switch_over(self, endpoint_lag_seconds: float) -> None:
        """Swap the writer and a reader; the endpoint follows some time later.

        Until then, connections lead to a server that is alive and refuses writes.
        """
        old, (heir, other) = self.writer, self.readers
        self._do(old, "SET GLOBAL super_read_only = 1")
        goal = self._executed(old)
        _wait(lambda: self._has(heir, goal), "the heir has caught up")
        self._promote(heir)
        self._follow(other)
        self._follow(old)
        time.sleep(endpoint_lag_seconds)
        self._open()

    def settle(self) -> None:
        """Wait until all servers have the same transactions."""
        for reader in self.readers:
            self._caught_up(reader)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Leave no space for the writer's tables; the other servers keep theirs.

        An open transaction takes the space: rolling it back needs none.
        """
        with self.connect(self.writer) as connection, connection.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            cursor.execute("CREATE TABLE ballast (content LONGBLOB)")
            cursor.execute("BEGIN")
            for rows in _BALLAST_ROWS:
                with contextlib.suppress(OperationalError):
                    while True:
                        cursor.execute(
                            "INSERT INTO ballast WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL "
                            f"SELECT n + 1 FROM numbers WHERE n < {rows}) "
                            "SELECT REPEAT('x', 15000) FROM numbers"
                        )
            yield
            cursor.execute("ROLLBACK")
            cursor.execute("DROP TABLE ballast")

    def _prepare(self, server: MySQLServer) -> None:
        self._start(server, _AS_WRITER)  # `_follow` makes it a reader
        server.execute(
            "SET sql_log_bin = 0;"
            f"CREATE USER {ADMIN.username}@'%' IDENTIFIED BY '{ADMIN.password}';"
            f"GRANT ALL ON *.* TO {ADMIN.username}@'%' WITH GRANT OPTION;"
        )

    def _start(self, server: MySQLServer, role: tuple[str, ...]) -> None:
        server.options = (*_OPTIONS, f"--server-id={self._ids[server.port]}", *role)
        server.start()

    def _follow(self, reader: MySQLServer) -> None:
        """Let a server replicate from the writer, after what it already has."""
        self._do(
            reader,
            "STOP REPLICA",
            "SET GLOBAL super_read_only = 1",
            "SET GLOBAL rpl_semi_sync_source_enabled = 0",
            "SET GLOBAL rpl_semi_sync_replica_enabled = 1",
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', "
            f"SOURCE_PORT = {self.writer.port}, SOURCE_USER = '{REPLICATION_USER}', "
            f"SOURCE_PASSWORD = '{self.writer.replication_password}', SOURCE_SSL = 1, "
            f"SOURCE_SSL_CA = '{self._ca}', SOURCE_SSL_VERIFY_SERVER_CERT = 1, "
            "SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1",
            "START REPLICA",
        )

    def _promote(self, heir: MySQLServer) -> None:
        self._do(
            heir,
            "STOP REPLICA",
            "RESET REPLICA ALL",
            "SET GLOBAL rpl_semi_sync_replica_enabled = 0",
            "SET GLOBAL rpl_semi_sync_source_enabled = 1",
            "SET GLOBAL super_read_only = 0",
            "SET GLOBAL read_only = 0",
        )
        self.writer = heir

    def _open(self, *readers: MySQLServer) -> None:
        """Lead the endpoints to the current servers, once all of these readers have caught up."""
        readers = readers or self.readers
        for reader in readers:
            self._caught_up(reader)
        self.writer_endpoint.lead_to(self.writer.port)
        self.reader_endpoint.lead_to(*(reader.port for reader in readers))

    def _caught_up(self, reader: MySQLServer) -> None:
        goal = self._executed(self.writer)
        _wait(
            lambda: (
                self._has(reader, goal) and self._replica(reader)["Replica_IO_Running"] == "Yes"
            ),
            "the reader has caught up",
        )

    def _executed(self, server: MySQLServer) -> str:
        """The set of transactions that a server has committed."""
        return str(self._ask(server, "SELECT @@GLOBAL.gtid_executed AS executed")["executed"])

    def _received(self, reader: MySQLServer) -> str:
        """The set of transactions that a reader has, applied or not; its writer is gone."""
        _wait(lambda: self._replica(reader)["Replica_IO_Running"] != "Yes", "the reader is cut off")
        return f"{self._replica(reader)['Retrieved_Gtid_Set']},{self._executed(reader)}"

    def _has(self, server: MySQLServer, wanted: str, among: str = "") -> bool:
        """Whether a set of transactions is among those given, or those that a server committed."""
        among = among or self._executed(server)
        query = f"SELECT GTID_SUBSET('{wanted}', '{among}') AS contained"
        return bool(self._ask(server, query)["contained"])

    def _replica(self, reader: MySQLServer) -> dict[str, Any]:
        return self._ask(reader, "SHOW REPLICA STATUS")

    def _ask(self, server: MySQLServer, query: str) -> dict[str, Any]:
        with self.connect(server, "mysql") as connection, connection.cursor(DictCursor) as cursor:
            cursor.execute(query)
            return cursor.fetchone() or {}

    def _do(self, server: MySQLServer, *statements: str) -> None:
        with self.connect(server, "mysql") as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_PATIENCE_SECONDS} s until {what}")
        time.sleep(_POLL_SECONDS)
