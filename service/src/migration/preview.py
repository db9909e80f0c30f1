"""Creates a preview's data in its first deploy, and deletes it with the preview.

Every name comes from a `Preview`, so that this module never deletes the environment's data.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from migration.password_hash import identified
from trading.secret import Credentials
from trading.settings import Preview

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# How many seconds deleting waits for transactions that use the schema. The functions that used it
# are gone by then.
_LOCK_TIMEOUT_SECONDS = 60
_TOKEN_BYTES = 32


class NotDeleted(Exception):
    """S3 did not delete an object. The text says which one and why."""


@contextmanager
def schema_owner(connection: Connection[Cursor], preview: Preview) -> Iterator[Credentials]:
    """Provide the preview's schema, and credentials of its owner for the duration of the block.

    The migrations of a branch run as this user, which has every right on the schema and none
    elsewhere. The user is locked afterwards, not dropped, because triggers run with its rights.
    https://dev.mysql.com/doc/refman/8.0/en/stored-objects-security.html
    """
    owner = Credentials(preview.owner, secrets.token_urlsafe(_TOKEN_BYTES))
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{preview.schema}`")
        clause, stored = identified(cursor, owner.password)
        user, values = f"%s@'%%' {clause} REQUIRE SSL", (owner.username, stored)
        cursor.execute(f"CREATE USER IF NOT EXISTS {user}", values)
        # A killed run may have left the user with a password that nobody knows.
        cursor.execute(f"ALTER USER {user} ACCOUNT UNLOCK", values)
        cursor.execute(f"GRANT ALL ON `{preview.schema}`.* TO %s@'%%'", (owner.username,))
        try:
            yield owner
        finally:
            cursor.execute("ALTER USER %s@'%%' ACCOUNT LOCK", (owner.username,))


def drop_schema(connection: Connection[Cursor], preview: Preview) -> None:
    """Delete the preview's schema and its users, if they exist."""
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION lock_wait_timeout = %s", (_LOCK_TIMEOUT_SECONDS,))
        # Its users first, so that nobody connects to a schema that is gone. The owner last, because
        # MySQL drops no user that owns triggers.
        for user in (preview.user, preview.archive_user):
            cursor.execute("DROP USER IF EXISTS %s@'%%'", (user,))
        cursor.execute(f"DROP DATABASE IF EXISTS `{preview.schema}`")
        cursor.execute("DROP USER IF EXISTS %s@'%%'", (preview.owner,))


def delete_objects(s3: S3Client, bucket: str, preview: Preview) -> None:
    """Delete all versions of the preview's objects in a bucket.

    Raises:
        NotDeleted: S3 refused to delete one.
    """
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=preview.folder)
    for page in pages:
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if not found:
            continue
        answer = s3.delete_objects(
            Bucket=bucket,
            Delete={
                "Objects": [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found],
                "Quiet": True,
            },
        )
        for error in answer.get("Errors", []):
            raise NotDeleted(f"{error['Key']}: {error['Message']}")
