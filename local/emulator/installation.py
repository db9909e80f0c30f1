"""One platform on this machine: its files, its ports and the emulator's environment.

This module must not import ministack, which reads its environment variables on import.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
REGION = "us-east-1"

# Where an emulator answers whose it is, as `{"folder": ..., "pid": ...}`.
IDENTITY_PATH = "/_platform/identity"
IDENTITY_PREFIX = "local-platform-"

_DEFAULT_FOLDER = ".local"
_DEFAULT_PORT_BASE = 14560
_DATABASE_PORT_OFFSETS = range(10, 40)
_PORTS = range(1024, 65536)  # need no privilege

# Functions run as subprocesses with the emulator's environment. On AWS they have a clean one: what
# users set for real accounts and networks (profiles, credentials, proxies, certificates) and their
# home folder must not reach a function.
_KEPT_VARIABLES = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TZ")


class InstallationError(ValueError):
    """An environment variable has an unusable value."""


@dataclass(frozen=True)
class Installation:
    """`folder` holds all files; the first of the ports is the HTTP port."""

    folder: Path
    port: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Installation:
        """Read LOCAL_DIR and LOCAL_PORT_BASE. Raises InstallationError."""
        folder = Path(environment.get("LOCAL_DIR") or _DEFAULT_FOLDER).resolve()
        base = environment.get("LOCAL_PORT_BASE") or str(_DEFAULT_PORT_BASE)
        bases = range(_PORTS.start, _PORTS.stop - _DATABASE_PORT_OFFSETS[-1])
        if not base.isdecimal() or int(base) not in bases:
            raise InstallationError(
                f"LOCAL_PORT_BASE must be from {bases.start} to {bases[-1]}, not '{base}'"
            )
        return cls(folder, int(base))

    @property
    def database_ports(self) -> range:
        """The ports for the database servers of clusters."""
        return range(
            self.port + _DATABASE_PORT_OFFSETS.start, self.port + _DATABASE_PORT_OFFSETS.stop
        )

    @property
    def databases(self) -> Path:
        """The folder of the database servers' data."""
        return self.folder / "databases"

    @property
    def tls(self) -> Path:
        """The folder of the certificates of the database servers; `ca.pem` verifies them."""
        return self.folder / "tls"

    @property
    def state(self) -> Path:
        """The folder of the emulated services' state."""
        return self.folder / "emulator"

    @property
    def recorded_calls(self) -> Path:
        """The file of all calls, one JSON document per line, with LOCAL_RECORD_CALLS=1."""
        return self.folder / "calls.jsonl"

    @property
    def url(self) -> str:
        """The endpoint of all emulated services."""
        return f"http://{HOST}:{self.port}"

    @property
    def identity(self) -> str:
        """What commands for this platform have in their User-Agent; other emulators refuse it."""
        return IDENTITY_PREFIX + hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]

    def make_folder(self) -> None:
        """Create the folder; no other user of this machine can read what is in it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def apply(self, environment: MutableMapping[str, str]) -> None:
        """Make `environment` what ministack and the functions that it runs need, and no more."""
        self.make_folder()
        home, temporary = self.state / "home", self.state / "tmp"
        for folder in (home, temporary):
            folder.mkdir(parents=True, exist_ok=True)
        enforce_iam = environment.get("LOCAL_ENFORCE_IAM") == "1"
        record = environment.get("LOCAL_RECORD_CALLS") == "1"
        for name in set(environment) - set(_KEPT_VARIABLES):
            del environment[name]
        environment.update(
            # Whether IAM policies are enforced for every access key but `test`.
            AUTH="true" if enforce_iam else "false",
            # Where each call is recorded, if at all.
            RECORDED_CALLS=str(self.recorded_calls) if record else "",
            BIND_HOST=HOST,
            GATEWAY_PORT=str(self.port),
            MINISTACK_REGION=REGION,
            PERSIST_STATE="1",
            STATE_DIR=str(self.state / "state"),
            S3_PERSIST="1",
            S3_DATA_DIR=str(self.state / "s3"),
            SFTP_ENABLED="0",
            IOT_MTLS_ENABLED="0",
            HOME=str(home),
            TMPDIR=str(temporary),
            # For functions; ministack makes execution credentials for each of them.
            AWS_ENDPOINT_URL=self.url,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",  # noqa: S106 - opens nothing but the emulator
            AWS_REGION=REGION,
            AWS_DEFAULT_REGION=REGION,
            AWS_EC2_METADATA_DISABLED="true",
            AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        )


def port_is_free(port: int) -> bool:
    """Whether a server can listen on the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
