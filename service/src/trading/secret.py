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
    """A database user; the password is left out of `repr`, and so of logs.

    `cursor_key` signs the cursors of lists. It is in the secret because it has to be the same for
    all execution environments, also while a new password reaches one after the other.
    """

    username: str
    password: str = field(repr=False)
    cursor_key: str = field(default="", repr=False)


def fetch_credentials(secret_arn: str, stage: str = CURRENT) -> Credentials | None:
    """Read one version of a database user's secret; None if there is none.

    Raises:
        SecretUnavailable: Secrets Manager does not answer, or refuses.
    """
    try:
        value = json.loads(get_secret_string(secret_arn, stage))
    except SecretsManagerError as error:
        # A version that does not exist is reported like a secret that does not.
        if str(error) == "ResourceNotFoundException":
            return None
        raise SecretUnavailable from error
    # A secret that someone has written anew may lack the key.
    key = value.get("cursor_key", value["password"])
    return Credentials(value["username"], value["password"], key)


class CredentialStore:
    """The credentials of this execution environment: fetched once, and anew after a rotation."""

    def __init__(self, fetch: Callable[[str], Credentials | None]) -> None:
        self._fetch = fetch
        self._credentials: Credentials | None = None

    def get(self) -> Credentials:
        """The credentials to use.

        Raises:
            SecretUnavailable: they are not kept, and could not be fetched.
        """
        if self._credentials is None:
            self._credentials = self._fetch(CURRENT)
        if self._credentials is None:
            raise SecretUnavailable
        return self._credentials

    def replace(self, refused: Credentials) -> None:
        """Find others, since the database has refused these.

        A rotation gives the database its new password before it makes the secret's pending
        version the current one: in between, only the pending version is right.

        Raises:
            SecretUnavailable: they could not be fetched.
        """
        self._credentials = None
        for stage in (CURRENT, PENDING):
            credentials = self._fetch(stage)
            if credentials not in (None, refused):
                self._credentials = credentials
                return
