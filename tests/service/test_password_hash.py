"""No statement carries a password, and the server's own log shows none."""

from __future__ import annotations

import functools
import subprocess
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from migration.app_user import ensure_app_user
from migration.password_hash import NATIVE, SHA2, identified, password_hash, sha256_crypt
from tests.service.conftest import ADMIN, APP_SECRET_ARN, APP_USER, Secrets
from trading.database import connect
from trading.settings import Address


@pytest.mark.parametrize("password", ["a", "Hello world!", "geheim-ä€", "x" * 64])
def test_the_hash_is_that_of_other_programs(password: str) -> None:
    command = ["openssl", "passwd", "-5", "-salt", "saltstring", "-stdin"]
    finished = subprocess.run(
        command, input=password + "\n", capture_output=True, text=True, check=True
    )
    expected = finished.stdout.strip().removeprefix("$5$saltstring$")
    assert sha256_crypt(password.encode(), b"saltstring") == expected


def test_auroras_default_plugin_stores_its_own_form() -> None:
    # MySQL's manual has this one.
    # https://dev.mysql.com/doc/refman/8.0/en/create-user.html
    assert password_hash("password", NATIVE) == "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"


def test_each_hash_has_a_salt_of_its_own() -> None:
    assert password_hash("password", SHA2) != password_hash("password", SHA2)


@pytest.mark.parametrize(
    ("row", "plugin"),
    [
        (("default_authentication_plugin", NATIVE), NATIVE),
        (("default_authentication_plugin", SHA2), SHA2),
        (None, SHA2),
    ],
)
def test_new_users_get_the_plugin_that_the_server_would_give_them(row: Any, plugin: str) -> None:
    server = SimpleNamespace(execute=lambda _statement: None, fetchone=lambda: row)
    clause, stored = identified(cast(Cursor, server), "password")
    assert clause == f"IDENTIFIED WITH {plugin} AS %s"
    assert stored.startswith("*" if plugin == NATIVE else "$A$005$")


def test_the_servers_log_of_statements_shows_no_password(
    schema: Connection[Cursor], address: Address
) -> None:
    secrets = Secrets()
    log_in = functools.partial(connect, address)
    with schema.cursor() as cursor:
        cursor.execute("SET GLOBAL log_output = 'TABLE'")
        cursor.execute("TRUNCATE mysql.general_log")
        cursor.execute("SET GLOBAL general_log = ON")
        try:
            ensure_app_user(schema, secrets, APP_SECRET_ARN, log_in, username=APP_USER)
        finally:
            cursor.execute("SET GLOBAL general_log = OFF")
        cursor.execute("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log")
        statements = [statement for (statement,) in cursor.fetchall()]
    made = [s for s in statements if s.startswith("CREATE USER") and APP_USER in s]
    assert made
    assert all("IDENTIFIED WITH" in statement for statement in made)
    stored = secrets.values[APP_SECRET_ARN, "AWSCURRENT"]
    for prefix in ("", "archive_"):
        credentials = secrets.fetch(prefix=prefix)
        assert credentials is not None
        assert credentials.password in stored
        assert not [s for s in statements if credentials.password in s]
    assert not [s for s in statements if ADMIN.password in s]
