"""What a function is told by its environment variables; the template sets them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# The build puts it there: see the `rds-ca` target of service/Makefile.
_CA_FILE = Path(__file__).with_name("rds-ca.pem")


@dataclass(frozen=True)
class Address:
    """A database, and the certificate authorities that vouch for its server."""

    host: str
    port: int
    database: str
    ca_file: str


@dataclass(frozen=True)
class Settings:
    """Where the function runs, and where its database is."""

    region: str
    environment: str
    writer: Address
    reader: Address
    app_secret_arn: str


def load_settings(variables: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Raises:
        KeyError: a variable that the template always sets is missing.
    """

    def address(endpoint: str) -> Address:
        return Address(
            host=variables[endpoint],
            port=int(variables["DATABASE_PORT"]),
            database=variables["DATABASE_NAME"],
            ca_file=variables.get("DATABASE_CA_FILE", str(_CA_FILE)),
        )

    return Settings(
        region=variables["AWS_REGION"],
        environment=variables["ENVIRONMENT_SUFFIX"],
        writer=address("DATABASE_WRITER_ENDPOINT"),
        reader=address("DATABASE_READER_ENDPOINT"),
        app_secret_arn=variables["DATABASE_APP_SECRET_ARN"],
    )
