"""What a function is told by its environment variables; the template sets them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Where the function runs, and where its database is."""

    region: str
    environment: str
    writer_endpoint: str
    port: int
    database: str
    app_secret_arn: str


def load_settings(variables: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Raises:
        KeyError: a variable that the template always sets is missing.
    """
    return Settings(
        region=variables["AWS_REGION"],
        environment=variables["ENVIRONMENT_SUFFIX"],
        writer_endpoint=variables["DATABASE_WRITER_ENDPOINT"],
        port=int(variables["DATABASE_PORT"]),
        database=variables["DATABASE_NAME"],
        app_secret_arn=variables["DATABASE_APP_SECRET_ARN"],
    )
