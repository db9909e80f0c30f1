"""An emulator in its own process, as `make up` starts it, and its databases."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pymysql

from tests.support.ports import free_port_base

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
REGION = "us-east-1"


class Emulator:
    """One emulator process and its clients."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.log = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def launch(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [PYTHON, "-m", "local.emulator"],
                cwd=ROOT,
                env={
                    **os.environ,
                    "LOCAL_DIR": str(self.folder),
                    "LOCAL_PORT_BASE": str(self.port),
                    "AWS_CA_BUNDLE": "/nonexistent",  # as a host's setting that must not matter
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self) -> None:
        self.process = self.launch()
        until(self._accepts, "the emulator to listen")

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def client(
        self, service: str, region: str = REGION, key: tuple[str, str] = ("test", "test")
    ) -> Any:
        """A client with an access key; `test` may do anything."""
        connect: Any = boto3.client
        return connect(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            verify=False,
        )

    def database_pids(self) -> list[int]:
        """The processes with this emulator's folder in their arguments."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if f"--datadir={self.folder}/".encode() in arguments:
                found.append(int(process.name))
        return found

    def _accepts(self) -> bool:
        assert self.process is None or self.process.poll() is None, f"it ended: see {self.log}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def running_emulator(folder: Path) -> Iterator[Emulator]:
    """An emulator with its own folder, until the block ends."""
    emulator = Emulator(folder, free_port_base())
    emulator.start()
    try:
        yield emulator
    finally:
        emulator.stop()


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def create_cluster(emulator: Emulator, name: str = "trades", **more: Any) -> dict[str, Any]:
    created = emulator.client("rds").create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-mysql",
        DatabaseName="trading",
        MasterUsername="tradingadmin",
        ManageMasterUserPassword=True,
        **more,
    )
    return dict(created["DBCluster"])


def connect(emulator: Emulator, cluster: dict[str, Any], *, tls: bool = True) -> Any:
    secret = json.loads(
        emulator.client("secretsmanager").get_secret_value(
            SecretId=cluster["MasterUserSecret"]["SecretArn"]
        )["SecretString"]
    )
    context = ssl.create_default_context(cafile=str(emulator.folder / "tls" / "ca.pem"))
    return pymysql.connect(
        host=cluster["Endpoint"],
        port=cluster["Port"],
        user=secret["username"],
        password=secret["password"],
        database="trading",
        autocommit=True,
        ssl=context if tls else None,
        ssl_disabled=not tls,
    )


def query(emulator: Emulator, cluster: dict[str, Any], sql: str) -> Any:
    with connect(emulator, cluster) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def reachable(emulator: Emulator, cluster: dict[str, Any]) -> bool:
    try:
        connect(emulator, cluster).close()
    except pymysql.Error:
        return False
    return True
