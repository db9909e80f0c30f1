"""Database credentials from Secrets Manager."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from trading.errors import DatabaseUnavailable
from trading.secrets_manager import SecretsManagerError, get_secret_string

CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
# The secret has two users. The keys of the second one, which only reads, begin with this.
ARCHIVE = "archive_"


class SecretUnavailable(DatabaseUnavailable):
    """Secrets Manager did not give the secret, or the secret is incomplete."""

    def __init__(self, detail: str = "The service could not read its database password.") -> None:
        super().__init__(detail)


@dataclass(frozen=True)
class Credentials:
    """A database user. `repr`, and so the logs, omit the password.

    `cursor_key` signs the cursors of lists. It is in the secret because all execution environments
    need the same one, even during a rotation of the password.
    """

    username: str
    password: str = field(repr=False)
    cursor_key: str | None = field(default=None, repr=False)


def fetch_credentials(
    secret_arn: str, version_stage: str = CURRENT, prefix: str = ""
) -> Credentials | None:
    """Read a database user from one version of a secret; None if there is no such version.

    Raises:
        SecretUnavailable: Secrets Manager does not answer or refuses, or the secret lacks the user
            whose keys begin with `prefix`.
    """
    try:
        value = json.loads(get_secret_string(secret_arn, version_stage))
    except SecretsManagerError as error:
        # Secrets Manager reports a missing version like a missing secret.
        if str(error) == "ResourceNotFoundException":
            return None
        raise SecretUnavailable from error
    try:
        username, password = value[f"{prefix}username"], value[f"{prefix}password"]
    except KeyError as error:
        raise SecretUnavailable(
            f"The service's secret has no {error}: deploy the service again."
        ) from None
    return Credentials(username, password, value.get("cursor_key"))


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

    def cursor_key(self) -> str:
        """The key that signs cursors.

        Nothing else replaces it: callers hold what it signs, and could guess a weaker key.

        Raises:
            SecretUnavailable: the secret could not be fetched or has no key.
        """
        key = self.get().cursor_key
        if not key:
            # The next request fetches the secret again.
            self._credentials = None
            raise SecretUnavailable(
                "The service cannot sign cursors, because its secret has no 'cursor_key': deploy "
                "the service again."
            )
        return key

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
