"""One writer and two readers, as an Aurora MySQL cluster has them: MariaDB servers that replicate.

What Aurora promises, and what keeps the promise here:

- A commit that was acknowledged survives the loss of any server. Aurora's servers share a storage
  that has the commit in several zones before it is acknowledged. Here, semi-synchronous replication
  (`AFTER_SYNC`, no time limit) sends it to a reader before the writer commits it: nobody sees, and
  nobody is told of, a trade that only one server has.
- A failover promotes a reader that has all acknowledged commits. Here, that is the one that has
  received most, once it has applied all of it.
- The old writer comes back as a reader with the same data. Here, it drops what it had written and
  no reader had confirmed as it starts (`--init-rpl-role=SLAVE`), and is sent the rest.
- An endpoint leads to a server that has all acknowledged commits. Here, the writer's opens again
  once a reader has caught up: before, the answer to a repeated request could tell of a trade that
  only one server has.

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
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor, DictCursor
from pymysql.err import OperationalError

from local.database_server import MariaDBServer, TLSFiles
from tests.support.endpoint import Endpoint
from tests.support.ports import free_port
from trading.database import connect
from trading.secret import Credentials
from trading.settings import Address

DATABASE = "trading"
ADMIN = Credentials("platform_admin", "admin-password")
_REPLICATION = Credentials("replication", "replication-password")
_PATIENCE_SECONDS = 60
_POLL_SECONDS = 0.02
# Where the file that holds all tables ends: InnoDB answers then as it does when a disk is full.
_DISK_MEGABYTES = 128
# How many rows of a page each are added in one go, until the last one does not fit.
_BALLAST_ROWS = (1024, 256, 64, 16, 4, 1)

_OPTIONS = (
    "--log-bin=binlog",
    "--relay-log=relay",
    "--log-slave-updates",
    "--binlog-format=ROW",
    # What a killed server has given to the system is not lost, and no machine is switched off.
    "--sync-binlog=0",
    "--innodb-flush-log-at-trx-commit=2",
    "--slave-parallel-threads=2",
    "--gtid-strict-mode=1",
    "--skip-slave-start",
    "--slave-net-timeout=5",
    "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
    f"--rpl-semi-sync-master-timeout={24 * 60 * 60 * 1000}",
    "--innodb-file-per-table=0",
    f"--innodb-data-file-path=ibdata1:12M:autoextend:max:{_DISK_MEGABYTES}M",
    "--innodb-autoextend-increment=4",
)
# As a server starts; a promotion changes it.
_AS_WRITER = ("--init-rpl-role=MASTER", "--rpl-semi-sync-master-enabled=1")
_AS_READER = ("--init-rpl-role=SLAVE", "--rpl-semi-sync-slave-enabled=1", "--read-only=1")


class Cluster:
    """The servers, and the two endpoints that lead to them."""

    def __init__(self, folder: Path, tls: TLSFiles, writer: Endpoint, reader: Endpoint) -> None:
        self._ca = str(tls.ca)
        self.servers = tuple(
            MariaDBServer(folder / f"server-{number}", free_port(), tls, require_tls=True)
            for number in (1, 2, 3)
        )
        self.writer = self.servers[0]
        self.writer_endpoint = writer
        self.reader_endpoint = reader

    @property
    def readers(self) -> tuple[MariaDBServer, ...]:
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
        """Stop the servers; readers first, so that none of them is waited for."""
        for server in (*self.readers, self.writer):
            server.stop()

    def connect(self, server: MariaDBServer, database: str = DATABASE) -> Connection[Cursor]:
        """An administrator's connection to one server, past the endpoints."""
        return connect(
            Address("127.0.0.1", server.port, database, self._ca),
            ADMIN,
            statement_seconds=_PATIENCE_SECONDS,
        )

    def kill(self, server: MariaDBServer) -> None:
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

    def restart_reader(self, reader: MariaDBServer) -> None:
        """Start a killed reader again."""
        self.reader_endpoint.lead_to(*(r.port for r in self.readers if r is not reader))
        self._start(reader, _AS_READER)
        self._follow(reader)
        self._open()

    def fail_over(self) -> None:
        """Promote a reader in place of the killed writer, and have that start again as a reader."""
        old = self.writer
        self.writer_endpoint.lead_to()
        heir, other = sorted(self.readers, key=self._received, reverse=True)
        received = self._received(heir)
        _wait(lambda: self._applied(heir) == received, "the heir has applied what it received")
        self._promote(heir)
        self._follow(other)
        self._open(other)
        self._start(old, _AS_READER)
        self._follow(old)
        self._open()

    def switch_over(self, endpoint_lag_seconds: float) -> None:
        """Make the writer a reader and a reader the writer; the endpoint follows some time later.

        Until then, connections lead to a server that is alive and does not write any more.
        """
        old, (heir, other) = self.writer, self.readers
        self._do(old, "SET GLOBAL read_only = 1")
        _wait(lambda: self._applied(heir) == self._applied(old), "the heir has caught up")
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
        """Have no space left for the writer's tables; the other servers keep theirs.

        The space is taken by a transaction that does not end: to roll it back takes no more.
        """
        with self.connect(self.writer) as connection, connection.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            cursor.execute("CREATE TABLE ballast (content LONGBLOB)")
            cursor.execute("BEGIN")
            for rows in _BALLAST_ROWS:
                with contextlib.suppress(OperationalError):
                    while True:
                        cursor.execute(
                            "INSERT INTO ballast SELECT REPEAT('x', 15000) "
                            f"FROM mysql.seq_1_to_{rows}"
                        )
            yield
            cursor.execute("ROLLBACK")
            cursor.execute("DROP TABLE ballast")

    def _prepare(self, server: MariaDBServer) -> None:
        self._start(server, _AS_WRITER if server is self.writer else _AS_READER)
        server.execute(
            "SET sql_log_bin = 0;"
            f"CREATE USER {ADMIN.username}@'%' IDENTIFIED BY '{ADMIN.password}';"
            f"GRANT ALL ON *.* TO {ADMIN.username}@'%' WITH GRANT OPTION;"
            f"CREATE USER {_REPLICATION.username}@'%' IDENTIFIED BY '{_REPLICATION.password}';"
            f"GRANT REPLICATION SLAVE ON *.* TO {_REPLICATION.username}@'%';"
        )

    def _start(self, server: MariaDBServer, role: tuple[str, ...]) -> None:
        number = self.servers.index(server) + 1
        server.options = (*_OPTIONS, f"--server-id={number}", *role)
        server.start()

    def _follow(self, reader: MariaDBServer) -> None:
        """Have a server replicate from the writer, beginning after what it has."""
        self._do(
            reader,
            "STOP SLAVE",
            "SET GLOBAL read_only = 1",
            "SET GLOBAL rpl_semi_sync_master_enabled = 0",
            "SET GLOBAL rpl_semi_sync_slave_enabled = 1",
            "SET GLOBAL gtid_slave_pos = @@gtid_binlog_pos",
            f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {self.writer.port}, "
            f"MASTER_USER = '{_REPLICATION.username}', "
            f"MASTER_PASSWORD = '{_REPLICATION.password}', MASTER_SSL = 1, "
            f"MASTER_SSL_CA = '{self._ca}', MASTER_SSL_VERIFY_SERVER_CERT = 1, "
            "MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1",
            "START SLAVE",
        )

    def _promote(self, heir: MariaDBServer) -> None:
        self._do(
            heir,
            "STOP SLAVE",
            "RESET SLAVE ALL",
            "SET GLOBAL rpl_semi_sync_slave_enabled = 0",
            "SET GLOBAL rpl_semi_sync_master_enabled = 1",
            "SET GLOBAL read_only = 0",
        )
        self.writer = heir

    def _open(self, *readers: MariaDBServer) -> None:
        """Have the endpoints lead to the servers of now, once all of these readers caught up."""
        readers = readers or self.readers
        for reader in readers:
            self._caught_up(reader)
        self.writer_endpoint.lead_to(self.writer.port)
        self.reader_endpoint.lead_to(*(reader.port for reader in readers))

    def _caught_up(self, reader: MariaDBServer) -> None:
        goal = self._applied(self.writer)
        _wait(
            lambda: (
                self._applied(reader) >= goal and self._slave(reader)["Slave_IO_Running"] == "Yes"
            ),
            "the reader has caught up",
        )

    def _applied(self, server: MariaDBServer) -> int:
        """The number of the last transaction that a server has committed."""
        return _number(self._ask(server, "SELECT @@gtid_binlog_pos AS position")["position"])

    def _received(self, reader: MariaDBServer) -> int:
        """The number of the last transaction that a reader was sent by the writer that is gone."""
        _wait(lambda: self._slave(reader)["Slave_IO_Running"] != "Yes", "the reader is cut off")
        return max(_number(self._slave(reader)["Gtid_IO_Pos"]), self._applied(reader))

    def _slave(self, reader: MariaDBServer) -> dict[str, Any]:
        return self._ask(reader, "SHOW SLAVE STATUS")

    def _ask(self, server: MariaDBServer, query: str) -> dict[str, Any]:
        with self.connect(server, "mysql") as connection, connection.cursor(DictCursor) as cursor:
            cursor.execute(query)
            return cursor.fetchone() or {}

    def _do(self, server: MariaDBServer, *statements: str) -> None:
        with self.connect(server, "mysql") as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def _number(position: str) -> int:
    # domain-server-number; no transaction yet: nothing
    return int(position.rpartition("-")[2] or 0)


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_PATIENCE_SECONDS} s, but not until {what}")
        time.sleep(_POLL_SECONDS)
