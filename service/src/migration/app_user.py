"""The database users of the service: each has the rights that it needs and no more."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Any

from pymysql.connections import Connection
from pymysql.constants import ER
from pymysql.cursors import Cursor
from pymysql.err import OperationalError

from migration.password_hash import identified
from trading.secret import ARCHIVE, CURRENT, PENDING, Credentials
from trading.store import VOID_COLUMNS

ARCHIVE_USER = "trade_archive"


@dataclass(frozen=True)
class Right:
    """A privilege on a table, or on one of its columns."""

    privilege: str
    column: str | None = None
    table: str = "trades"


# A trade can be voided. Nothing else of it ever changes, and nothing is deleted. Triggers keep the
# positions and record events, with the rights of the schema's owner. The service may only give up
# numbers of events.
APP_RIGHTS = frozenset(
    {
        Right("SELECT"),
        Right("INSERT"),
        *(Right("UPDATE", column) for column in VOID_COLUMNS),
        Right("SELECT", table="positions"),
        Right("SELECT", table="trade_events"),
        Right("INSERT", "event_id", table="trade_events"),
    }
)
ARCHIVE_RIGHTS = frozenset({Right("SELECT"), Right("SELECT", table="positions")})

_HELD = """
    SELECT privilege_type, NULL, table_name FROM information_schema.table_privileges
    WHERE grantee = %(grantee)s AND table_schema = DATABASE()
    UNION ALL
    SELECT privilege_type, column_name, table_name FROM information_schema.column_privileges
    WHERE grantee = %(grantee)s AND table_schema = DATABASE()
"""
_TOKEN_BYTES = 32


def ensure_app_user(
    connection: Connection[Cursor],
    secrets_manager: Any,
    secret_arn: str,
    log_in: Callable[[Credentials], Connection[Cursor]],
    *,
    username: str,
    archive_username: str = ARCHIVE_USER,
) -> None:
    """Provide the users of the service, and a secret with their passwords.

    A password that works is not changed: during a rotation, the user may already have the password
    of the secret's pending version. The secret is written last, so that the next run repairs one
    that was interrupted. Rights that a user no longer needs are revoked; a release must not need
    them any more before the one that takes them off the list.
    """
    stored = _stored(secrets_manager, secret_arn, CURRENT) or {}
    pending = _stored(secrets_manager, secret_arn, PENDING) or {}
    secret = {
        "username": username,
        "password": secrets.token_urlsafe(_TOKEN_BYTES),
        "cursor_key": secrets.token_urlsafe(_TOKEN_BYTES),
        f"{ARCHIVE}username": archive_username,
        f"{ARCHIVE}password": secrets.token_urlsafe(_TOKEN_BYTES),
        **stored,
    }
    with connection.cursor() as cursor:
        for name, prefix, rights in (
            (username, "", APP_RIGHTS),
            (archive_username, ARCHIVE, ARCHIVE_RIGHTS),
        ):
            key = f"{prefix}password"
            passwords = [version[key] for version in (stored, pending) if key in version]
            _provide_user(cursor, Credentials(name, secret[key]), passwords, log_in)
            _settle_rights(cursor, name, rights)
    if secret != stored:
        secrets_manager.put_secret_value(SecretId=secret_arn, SecretString=json.dumps(secret))


def _provide_user(
    cursor: Cursor,
    credentials: Credentials,
    passwords: list[str],
    log_in: Callable[[Credentials], Connection[Cursor]],
) -> None:
    """Create the user if it is missing, and set its password unless one of `passwords` works."""
    name = credentials.username
    clause, stored = identified(cursor, credentials.password)
    user, values = f"%s@'%%' {clause} REQUIRE SSL", (name, stored)
    cursor.execute(f"CREATE USER IF NOT EXISTS {user}", values)
    if not any(_opens(log_in, Credentials(name, password)) for password in passwords):
        cursor.execute(f"ALTER USER {user}", values)


def _settle_rights(cursor: Cursor, username: str, wanted: Set[Right]) -> None:
    """Grant what is missing, then revoke what is too much.

    A table may be missing where a migration is tried out on the schema of the release before.
    """
    cursor.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
    )
    tables = {table for (table,) in cursor.fetchall()}
    wanted = {right for right in wanted if right.table in tables}
    cursor.execute(_HELD, {"grantee": f"'{username}'@'%'"})
    held = {Right(*row) for row in cursor.fetchall()}
    for right in sorted(wanted - held, key=repr):
        cursor.execute(f"GRANT {_on_table(right)} TO %s@'%%'", (username,))
    for right in sorted(held - wanted, key=repr):
        cursor.execute(f"REVOKE {_on_table(right)} FROM %s@'%%'", (username,))


def _on_table(right: Right) -> str:
    columns = "" if right.column is None else f" (`{right.column}`)"
    return f"{right.privilege}{columns} ON `{right.table}`"


def _stored(secrets_manager: Any, secret_arn: str, version_stage: str) -> dict[str, str] | None:
    try:
        answer = secrets_manager.get_secret_value(SecretId=secret_arn, VersionStage=version_stage)
    except secrets_manager.exceptions.ResourceNotFoundException:
        # Secrets Manager reports a missing version like a missing secret.
        return None
    secret: dict[str, str] = json.loads(answer["SecretString"])
    return secret


def _opens(log_in: Callable[[Credentials], Connection[Cursor]], credentials: Credentials) -> bool:
    try:
        log_in(credentials).close()
    except OperationalError as error:
        if error.args[0] == ER.ACCESS_DENIED_ERROR:
            return False
        # The user exists but may not use the database yet. Its rights come next.
        if error.args[0] != ER.DBACCESS_DENIED_ERROR:
            raise
    return True
