"""Reads the environment variables that the template sets for each function."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# `make build-service` puts it there: service/tools/rds_ca.py.
_CA_FILE = Path(__file__).with_name("rds-ca.pem")

ROLE, SESSION = "role", "session"


@dataclass(frozen=True)
class Address:
    """Where a database is, and the certificate authorities that its server is verified with."""

    host: str
    port: int
    database: str
    ca_file: str


@dataclass(frozen=True)
class Preview:
    """A second copy of the service on an environment's data platform, and the names of its data.

    The environment's own data never has such names: RDS makes no schema or user with a hyphen, and
    its trades are archived under `trades/`. Code that deletes data takes every name from here.
    """

    stage: str

    def __post_init__(self) -> None:
        if not self.stage:
            raise ValueError(
                "a preview needs a stage: without one, this is the environment's service"
            )

    @property
    def schema(self) -> str:
        """The schema, on the environment's cluster; at most 28 characters."""
        return f"preview-{self.stage}"

    @property
    def user(self) -> str:
        """The user that books trades in it. MySQL allows 32 characters."""
        return self.schema

    @property
    def archive_user(self) -> str:
        """The user that reads trades for the archive."""
        return f"archive-{self.stage}"

    @property
    def owner(self) -> str:
        """The user that migrates it."""
        return f"migrate-{self.stage}"

    @property
    def folder(self) -> str:
        """The prefix of the objects in the data bucket."""
        return f"previews/{self.stage}/"


@dataclass(frozen=True)
class Settings:
    """Where the function runs and where its database is; `preview` is None outside previews."""

    region: str
    environment: str
    writer: Address
    reader: Address
    app_secret_arn: str
    # Whether keys and trades belong to a role or to one of its sessions.
    caller_scope: str = ROLE
    preview: Preview | None = None


def load_preview(variables: Mapping[str, str] = os.environ) -> Preview | None:
    """The preview that this function belongs to, if any."""
    stage = variables.get("SERVICE_STAGE")
    return Preview(stage) if stage else None


def load_settings(variables: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Raises:
        KeyError: a variable that the template always sets is missing.
    """
    preview = load_preview(variables)

    def address(endpoint: str) -> Address:
        return Address(
            host=variables[endpoint],
            port=int(variables["DATABASE_PORT"]),
            database=preview.schema if preview else variables["DATABASE_NAME"],
            ca_file=variables.get("DATABASE_CA_FILE", str(_CA_FILE)),
        )

    return Settings(
        region=variables["AWS_REGION"],
        environment=variables["ENVIRONMENT_SUFFIX"],
        writer=address("DATABASE_WRITER_ENDPOINT"),
        reader=address("DATABASE_READER_ENDPOINT"),
        app_secret_arn=variables["DATABASE_APP_SECRET_ARN"],
        caller_scope=variables.get("CALLER_SCOPE", ROLE),
        preview=preview,
    )
