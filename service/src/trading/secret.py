"""Database credentials from Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from trading.errors import DatabaseUnavailable
from trading.secrets_manager import SecretsManagerError, get_secret_string

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"


class SecretUnavailable(DatabaseUnavailable):
    """Secrets Manager did not give the secret."""

    def __init__(self) -> None:
        super().__init__("The service could not read its database password.")


@dataclass(frozen=True)
class Credentials:
    """A database user. `repr`, and so the logs, omit the password.

    `cursor_key` signs the cursors of lists. It is in the secret because all execution environments
    need the same one, also during a rotation of the password.
    """

    username: str
    password: str = field(repr=False)
    cursor_key: str = field(default="", repr=False)


def fetch_credentials(secret_arn: str, version_stage: str = CURRENT) -> Credentials | None:
    """Read one version of a database user's secret; None if there is none.

    Raises:
        SecretUnavailable: Secrets Manager does not answer, or refuses.
    """
    try:
        value = json.loads(get_secret_string(secret_arn, version_stage))
    except SecretsManagerError as error:
        # Secrets Manager reports a missing version like a missing secret.
        if str(error) == "ResourceNotFoundException":
            return None
        raise SecretUnavailable from error
    # A secret that someone has written anew may lack the key.
    key = value.get("cursor_key", value["password"])
    return Credentials(value["username"], value["password"], key)


class CredentialStore:
    """The credentials of this execution environment: fetched once, and again after a rotation."""

    def __init__(self, fetch: Callable[[str], Credentials | None]) -> None:
        self._fetch = fetch
        self._credentials: Credentials | None = None

    def get(self) -> Credentials:
        """The credentials to use.

        Raises:
            SecretUnavailable: they could not be fetched.
        """
        if self._credentials is None:
            self._credentials = self._fetch(CURRENT)
        if self._credentials is None:
            raise SecretUnavailable
        return self._credentials

    def replace(self, refused: Credentials) -> None:
        """Fetch other credentials, because the database refused these.

        A rotation changes the password in the database before it makes the secret's pending version
        the current one. In between, only the pending version works.

        Raises:
            SecretUnavailable: they could not be fetched.
        """
        self._credentials = None
        for version_stage in (CURRENT, PENDING):
            credentials = self._fetch(version_stage)
            if credentials not in (None, refused):
                self._credentials = credentials
                return
