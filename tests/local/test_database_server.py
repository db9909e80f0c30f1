"""The local platform's database server: folder, settings and life cycle."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import rig as benchmark
from infra.config.database_parameters import CLUSTER_PARAMETERS, INSTANCE_PARAMETERS
from local import database_server
from local.database_server import MySQLError, MySQLServer, TLSFiles, ensure_tls_files, version
from local.migration_trial import rig as trial
from tests.faults import cluster
from tests.local import test_region_failover
from tests.service import conftest
from tests.support.needs import ROOT
from tests.support.ports import free_port

# Code that gives a user all rights, or a cluster its master password.
GIVES_ALL = re.compile(r"GRANT ALL ON \S+ TO \{|\"MasterUserPassword\": [A-Z]")
# Aurora's own, or named differently; TLS is a choice of each server.
AURORA_ONLY = {"server_audit_events", "server_audit_logging"}
SPELLED = {"ON": "1", "OFF": "0", "UTC": "+00:00"}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TLSFiles:
    return ensure_tls_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tls: TLSFiles) -> Iterator[MySQLServer]:
    server = MySQLServer(tmp_path_factory.mktemp("server"), free_port(), tls, require_tls=True)
    server.start()
    yield server
    server.remove()
    assert not server.folder.exists()


def test_it_is_mysql_and_of_the_version_that_is_installed(server: MySQLServer) -> None:
    found = server.execute("SELECT VERSION()").strip()
    assert found == version()
    assert "MariaDB" not in found


@pytest.mark.parametrize(
    "name", sorted((CLUSTER_PARAMETERS.keys() | INSTANCE_PARAMETERS.keys()) - AURORA_ONLY)
)
def test_each_parameter_of_auroras_groups_has_its_value(server: MySQLServer, name: str) -> None:
    wanted = {**CLUSTER_PARAMETERS, **INSTANCE_PARAMETERS}[name]
    found = server.execute(f"SELECT @@GLOBAL.{name}").strip()
    if name == "long_query_time":
        assert float(found) == float(wanted)
    else:
        assert found == SPELLED.get(wanted, wanted)


def test_no_administrator_has_a_password_that_others_know() -> None:
    """Any user of the machine can connect, and write to files of the developer as one of these."""
    passwords = {
        "benchmarks/rig.py": benchmark.OWNER.password,
        "local/migration_trial/rig.py": trial.OWNER.password,
        "tests/faults/cluster.py": cluster.ADMIN.password,
        "tests/local/test_region_failover.py": test_region_failover.PASSWORD,
        "tests/service/conftest.py": conftest.ADMIN.password,
    }
    texts = {
        str(file.relative_to(ROOT)): file.read_text()
        for room in ("benchmarks", "local", "tests")
        for file in (ROOT / room).rglob("*.py")
    }
    giving = {name for name, text in texts.items() if GIVES_ALL.search(text)}
    # The emulator's passwords are those that it makes, and those of its callers.
    assert giving - {"local/emulator/databases/aurora_database.py"} == passwords.keys()
    for name, text in texts.items():
        assert not any(password in text for password in passwords.values()), name


def test_two_servers_share_neither_identity_nor_data(server: MySQLServer, tmp_path: Path) -> None:
    other = MySQLServer(tmp_path / "other", free_port())
    other.start()
    try:
        server.execute("CREATE DATABASE only_here")
        assert "only_here" not in other.execute("SHOW DATABASES")
        uuids = {each.execute("SELECT @@server_uuid") for each in (server, other)}
        assert len(uuids) == 2
    finally:
        server.execute("DROP DATABASE only_here")
        other.remove()


def test_a_killed_server_starts_again_with_its_data(server: MySQLServer) -> None:
    server.execute("CREATE DATABASE kept; CREATE TABLE kept.t (id INT); INSERT kept.t VALUES (7)")
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while server.running():
        pass
    server.start()
    adopted = MySQLServer(server.folder, server.port)
    assert adopted.pid() == server.pid() != pid
    assert adopted.row("SELECT id, 'a b' AS text FROM kept.t") == {"id": "7", "text": "a b"}
    assert adopted.row("SELECT id FROM kept.t WHERE id = 8") == {}


def test_the_administrators_password_is_for_its_user_only(server: MySQLServer) -> None:
    assert stat.S_IMODE((server.data / "client.cnf").stat().st_mode) == 0o600
    assert server.execute(
        "SELECT authentication_string = '' FROM mysql.user WHERE user = 'root'"
    ) == ("0\n")


def test_a_server_error_is_reported(server: MySQLServer) -> None:
    with pytest.raises(MySQLError, match="Unknown database 'none'"):
        server.execute("USE none")


def test_a_port_in_use_is_reported_from_the_servers_log(
    server: MySQLServer, tmp_path: Path
) -> None:
    second = MySQLServer(tmp_path / "second", server.port)
    with pytest.raises(MySQLError, match="Do you already have another mysqld server running"):
        second.start()


def test_a_missing_installation_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_server, "_INSTALLATION", tmp_path)
    with pytest.raises(MySQLError, match="run `make setup`"):
        MySQLServer(tmp_path / "server", free_port()).start()
