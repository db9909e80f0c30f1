"""The database user of the service, with the rights it needs and no more."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from pymysql.connections import Connection
from pymysql.constants import ER
from pymysql.cursors import Cursor
from pymysql.err import OperationalError

from trading.secret import CURRENT, PENDING, Credentials

APP_USER = "trade_app"
_RIGHTS = (
    "GRANT SELECT, INSERT ON trades TO %s@'%%'",
    # A trade can be voided; nothing else of it ever changes, and nothing is deleted.
    "GRANT UPDATE (status, voided_at, voided_by) ON trades TO %s@'%%'",
)
_TOKEN_BYTES = 32


def ensure_app_user(
    connection: Connection[Cursor],
    secrets_manager: Any,
    secret_arn: str,
    log_in: Callable[[Credentials], Connection[Cursor]],
    username: str = APP_USER,
) -> None:
    """Have a user that the secret's password opens; make one up if the secret holds none.

    A password that works is left alone: a rotation may be under way, in which the user has the
    password of the secret's pending version already. The secret is written last: a run that ends
    before it is put right by the next one.
    """
    stored = _stored(secrets_manager, secret_arn, CURRENT)
    secret = {
        "username": username,
        "password": secrets.token_urlsafe(_TOKEN_BYTES),
        "cursor_key": secrets.token_urlsafe(_TOKEN_BYTES),
        **(stored or {}),
    }
    passwords = [secret["password"]]
    if pending := _stored(secrets_manager, secret_arn, PENDING):
        passwords.append(pending["password"])
    with connection.cursor() as cursor:
        identified = (username, secret["password"])
        cursor.execute("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s REQUIRE SSL", identified)
        if stored is None or not any(
            _opens(log_in, Credentials(username, password)) for password in passwords
        ):
            cursor.execute("ALTER USER %s@'%%' IDENTIFIED BY %s REQUIRE SSL", identified)
        for right in _RIGHTS:
            cursor.execute(right, (username,))
    if secret != stored:
        secrets_manager.put_secret_value(SecretId=secret_arn, SecretString=json.dumps(secret))


def _stored(secrets_manager: Any, secret_arn: str, version_stage: str) -> dict[str, str] | None:
    try:
        answer = secrets_manager.get_secret_value(SecretId=secret_arn, VersionStage=version_stage)
    except secrets_manager.exceptions.ResourceNotFoundException:
        # A secret without that version is reported like one that does not exist.
        return None
    secret: dict[str, str] = json.loads(answer["SecretString"])
    return secret


def _opens(log_in: Callable[[Credentials], Connection[Cursor]], credentials: Credentials) -> bool:
    try:
        log_in(credentials).close()
    except OperationalError as error:
        if error.args[0] == ER.ACCESS_DENIED_ERROR:
            return False
        # The user is known, but may not use the database yet: rights come next.
        if error.args[0] != ER.DBACCESS_DENIED_ERROR:
            raise
    return True
