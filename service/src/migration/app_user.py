"""The database user of the service, with the rights it needs and no more."""

from __future__ import annotations

import json
import secrets
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor

APP_USER = "trade_app"
_PASSWORD_BYTES = 32


def ensure_app_user(connection: Connection[Cursor], secrets_manager: Any, secret_arn: str) -> None:
    """Give the user the password that its secret holds; make one up if it holds none.

    The secret is written last: a run that ends before it is put right by the next one.
    """
    password = _stored_password(secrets_manager, secret_arn)
    is_new = password is None
    password = password or secrets.token_urlsafe(_PASSWORD_BYTES)
    with connection.cursor() as cursor:
        cursor.execute("CREATE USER IF NOT EXISTS %s@'%%' IDENTIFIED BY %s", (APP_USER, password))
        cursor.execute("ALTER USER %s@'%%' IDENTIFIED BY %s", (APP_USER, password))
        cursor.execute("GRANT SELECT, INSERT ON trades TO %s@'%%'", (APP_USER,))
    if is_new:
        secrets_manager.put_secret_value(
            SecretId=secret_arn,
            SecretString=json.dumps({"username": APP_USER, "password": password}),
        )


def _stored_password(secrets_manager: Any, secret_arn: str) -> str | None:
    try:
        answer = secrets_manager.get_secret_value(SecretId=secret_arn)
    except secrets_manager.exceptions.ResourceNotFoundException:
        # A secret without a value is reported like one that does not exist.
        return None
    password: str = json.loads(answer["SecretString"])["password"]
    return password
