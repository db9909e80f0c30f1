"""A MySQL server that belongs to one folder: created, started, watched and stopped.

It stands in for an Aurora MySQL cluster, so it runs with the values of the project's own parameter
groups, in a small memory footprint. It listens on 127.0.0.1 only. The server is a process of its
own: it survives the process that started it, and any other process can adopt it by creating a
`MySQLServer` of the same folder.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import inspect
import ipaddress
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.config.database_parameters import CLUSTER_PARAMETERS, INSTANCE_PARAMETERS
from local.processes import command_line

REPLICATION_USER = "rdsrepladmin"  # as on Aurora; replicates from this machine only

# Where `local/prerequisites.sh mysql` puts the programs.
_INSTALLATION = Path(__file__).resolve().parents[1] / ".cache" / "mysql"
_HOST = "127.0.0.1"
_SOCKET = "mysql.sock"
_CLIENT_FILE = "client.cnf"
_CERTIFICATE_DAYS = "3650"
_LOG_TAIL_LINES = 15

# Parameters that MySQL does not have, or that a server here gets in another way: the audit log is
# Aurora's own, TLS follows `require_tls`, and named time zones need tables that are not loaded.
_NOT_TAKEN = {
    "require_secure_transport",
    "server_audit_events",
    "server_audit_logging",
    "time_zone",
}
_COMMON = (
    "--secure-file-priv=NULL",
    "--mysqlx=OFF",
    # Servers would otherwise share the keys of the data folder that they are copied from.
    "--auto-generate-certs=OFF",
    "--caching-sha2-password-auto-generate-rsa-keys=OFF",
)
_SMALL = (
    "--performance-schema=OFF",
    "--innodb-buffer-pool-size=64M",
    "--innodb-redo-log-capacity=32M",
    "--innodb-log-buffer-size=4M",
    "--max-connections=200",
    "--table-open-cache=256",
    "--table-definition-cache=400",
    "--replica-parallel-workers=1",
)


class MySQLError(RuntimeError):
    """The server could not be created, started, reached or stopped; the message says why."""


@dataclass(frozen=True)
class TLSFiles:
    """Paths of a local certificate authority and of a server certificate that it signed."""

    ca: Path
    certificate: Path
    key: Path


@dataclass
class MySQLServer:
    """One MySQL server: `folder` holds its data, log and pid file, `port` is its TCP port.

    With `tls` the server offers TLS; with `require_tls` it refuses TCP connections without TLS.
    `options` are further arguments of `mysqld`, from the next start on.
    """

    folder: Path
    port: int
    tls: TLSFiles | None = None
    require_tls: bool = False
    options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        if self.require_tls and self.tls is None:
            raise ValueError("require_tls needs tls")

    @property
    def log_file(self) -> Path:
        """The server's error log."""
        return self.folder / "error.log"

    @property
    def data(self) -> Path:
        """The server's data folder, which also has its binary log."""
        return self.folder / "data"

    @property
    def replication_password(self) -> str:
        """The password of REPLICATION_USER."""
        return _password(self.data)

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "mysqld.pid"

    def start(self, timeout: float = 60) -> None:
        """Start the server, on first use with empty data, and wait until it answers.

        Does nothing if it already runs. `timeout` is in seconds. Raises MySQLError.
        """
        if self.running():
            return
        # Not shared: a starting server deletes all temporary tables that it finds.
        self._temporary.mkdir(parents=True, exist_ok=True)
        if not self.data.is_dir():
            self._create()
        # A killed server leaves these; its number may now belong to another process.
        for leftover in (self._pid_file, self.data / f"{_SOCKET}.lock"):
            leftover.unlink(missing_ok=True)
        # In its own session, it gets no Ctrl-C and survives this process.
        self._process = subprocess.Popen(
            self._command(),
            cwd=self.data,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + timeout
        while not (self.running() and self._answers()):
            if self._process.poll() is not None:
                raise MySQLError(
                    f"MySQL ended with exit code {self._process.returncode} while starting on "
                    f"port {self.port}:\n{self._log_tail()}"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise MySQLError(
                    f"MySQL did not answer on port {self.port} within {timeout:.0f} s:\n"
                    f"{self._log_tail()}"
                )
            time.sleep(0.05)

    def stop(self, timeout: float = 60) -> None:
        """Shut the server down by its process id, and wait until it has ended.

        Does nothing if it does not run. `timeout` is in seconds. Raises MySQLError.
        """
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while self.pid() == pid:
            if time.monotonic() > deadline:
                raise MySQLError(f"MySQL (pid {pid}) did not stop within {timeout:.0f} s")
            time.sleep(0.05)

    def running(self) -> bool:
        """Whether the server's process is alive, no matter who started it."""
        return self.pid() is not None

    def pid(self) -> int | None:
        """The process id of the running server, None if it does not run."""
        if self._process is not None:
            self._process.poll()  # reaps a dead child, which otherwise stays a zombie
        try:
            pid = int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None
        # The number may now belong to another process: only this server has this argument.
        return pid if f" --datadir={self.data} " in (command_line(pid) or "") else None

    def moved(self) -> bool:
        """Whether the server runs on another port than `port`, which has changed since."""
        pid = self.pid()
        return pid is not None and f" --port={self.port} " not in (command_line(pid) or "")

    def execute(self, sql: str, timeout: float = 30) -> str:
        """Run SQL statements as the local administrator and return the rows, tab separated.

        `timeout` is in seconds. Raises MySQLError with the server's message.
        """
        return self._client(sql, timeout, "--skip-column-names")

    def row(self, sql: str) -> dict[str, str]:
        """The first row of a query by column name, empty without a row. Raises MySQLError."""
        names, *rows = self._client(sql, 30).splitlines() or [""]
        return dict(zip(names.split("\t"), rows[0].split("\t"), strict=True)) if rows else {}

    def remove(self) -> None:
        """Stop the server and delete its folder. Raises MySQLError."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _client(self, sql: str, timeout: float, *options: str) -> str:
        # The data folder is the working directory of server and client, so that the socket's
        # name is short: the system refuses paths of more than 107 bytes.
        try:
            done = subprocess.run(
                [
                    _program("mysql"),
                    f"--defaults-file={self.data / _CLIENT_FILE}",
                    f"--socket={_SOCKET}",
                    "--default-character-set=utf8mb4",
                    "--batch",
                    *options,
                ],
                cwd=self.data,
                input=sql,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise MySQLError(f"no answer to a statement within {timeout:.0f} s") from error
        except FileNotFoundError as error:
            raise MySQLError(f"{self.data} does not exist") from error
        if done.returncode != 0:
            raise MySQLError(done.stderr.strip())
        return done.stdout

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except MySQLError:
            return False
        return True

    def _create(self) -> None:
        unfinished = self.folder / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(_prepared_data(), unfinished)
        unfinished.rename(self.data)

    def _command(self) -> list[str]:
        command = [
            _program("mysqld"),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--tmpdir={self._temporary}",
            *_user(),
            f"--bind-address={_HOST}",
            f"--port={self.port}",
            f"--socket={_SOCKET}",
            f"--pid-file={self._pid_file}",
            f"--log-error={self.log_file}",
            *_COMMON,
            *_SMALL,
            *_parameters(),
            "--skip-name-resolve",
            "--local-infile=0",
        ]
        if not any(option.startswith("--log-bin=") for option in self.options):
            command.append("--skip-log-bin")
        if self.tls is not None:
            command += [
                f"--ssl-ca={self.tls.ca}",
                f"--ssl-cert={self.tls.certificate}",
                f"--ssl-key={self.tls.key}",
            ]
        if self.require_tls:
            command.append("--require-secure-transport=ON")
        return [*command, *self.options]

    def _log_tail(self) -> str:
        try:
            lines = self.log_file.read_text(errors="replace").splitlines()
        except OSError:
            return "(no log)"
        return "\n".join(lines[-_LOG_TAIL_LINES:])


@functools.cache
def version() -> str:
    """The version of the installed MySQL. Raises MySQLError."""
    done = subprocess.run(
        [_program("mysqld"), "--no-defaults", "--version"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise MySQLError(f"mysqld does not run: {done.stderr.strip()}")
    return done.stdout.partition("Ver ")[2].split()[0]


def ensure_tls_files(folder: Path, names: tuple[str, ...] = ()) -> TLSFiles:
    """Create, unless they exist, a local certificate authority and a server certificate.

    The certificate is valid for 127.0.0.1, localhost and `names` (IP addresses or host names,
    wildcards allowed); clients verify servers with the `ca` file. Existing files are kept, so that
    clients need no new authority. Raises MySQLError if `openssl` fails.
    """
    folder = folder.resolve()
    files = TLSFiles(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem")
    if files.certificate.is_file():
        return files
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    ca_key = folder / "ca-key.pem"
    request = folder / "server.csr"
    extensions = folder / "server.ext"
    alternatives = ",".join(map(_alternative_name, (_HOST, "localhost", *names)))
    extensions.write_text(
        f"basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName={alternatives}\n"
    )
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(
        "req", "-x509", *curve, "-keyout", ca_key, "-out", files.ca, "-days", _CERTIFICATE_DAYS,
        "-subj", "/CN=Local database CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    _openssl("req", *curve, "-keyout", files.key, "-out", request, "-subj", "/CN=127.0.0.1")
    signed = folder / "server.pem.new"
    _openssl(
        "x509", "-req", "-in", request, "-CA", files.ca, "-CAkey", ca_key, "-CAcreateserial",
        "-days", _CERTIFICATE_DAYS, "-extfile", extensions, "-out", signed,
    )  # fmt: skip
    signed.rename(files.certificate)  # last: if it exists, all the others do
    return files


def _prepared_data() -> Path:
    """A data folder to copy; created on first use, which takes some seconds.

    It has the administrator and the replication user. Without `auto.cnf`, every copy gets a UUID of
    its own, and without a binary log, all changes of a copy are in the copy's own log.
    """
    recipe = " ".join((version(), *_COMMON, inspect.getsource(_initialise)))
    prepared = _INSTALLATION / f"data-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with _locked(prepared.with_suffix(".lock")):
        if not prepared.is_dir():
            unfinished = prepared.with_suffix(".new")
            shutil.rmtree(unfinished, ignore_errors=True)
            _initialise(unfinished)
            unfinished.rename(prepared)
    return prepared


def _initialise(data: Path) -> None:
    password = secrets.token_hex(16)  # replication allows 32 characters
    statements = data.with_suffix(".sql")
    statements.touch(mode=0o600)
    statements.write_text(
        f"ALTER USER root@localhost IDENTIFIED BY '{password}';\n"
        f"CREATE USER {REPLICATION_USER}@'{_HOST}' IDENTIFIED BY '{password}' REQUIRE SSL;\n"
        f"GRANT REPLICATION SLAVE ON *.* TO {REPLICATION_USER}@'{_HOST}';\n"
    )
    done = subprocess.run(
        [
            _program("mysqld"),
            "--no-defaults",
            "--initialize-insecure",
            f"--datadir={data}",
            *_user(),
            f"--init-file={statements}",
            "--skip-log-bin",
            *_COMMON,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    statements.unlink()
    if done.returncode != 0:
        raise MySQLError(f"MySQL's data could not be initialised:\n{done.stderr.strip()}")
    (data / "auto.cnf").unlink()
    client = data / _CLIENT_FILE
    client.touch(mode=0o600)
    client.write_text(f"[client]\nuser=root\npassword={password}\n")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _password(data: Path) -> str:
    return (data / _CLIENT_FILE).read_text().strip().rpartition("=")[2]


def _parameters() -> Iterator[str]:
    for name, value in {**CLUSTER_PARAMETERS, **INSTANCE_PARAMETERS}.items():
        if name not in _NOT_TAKEN:
            yield f"--{name.replace('_', '-')}={value}"
    if CLUSTER_PARAMETERS["time_zone"] == "UTC":
        yield "--default-time-zone=+00:00"


def _alternative_name(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


def _openssl(*arguments: str | Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise MySQLError("openssl is not installed: install it with your package manager")
    done = subprocess.run(
        [openssl, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise MySQLError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")


def _user() -> tuple[str, ...]:
    # mysqld refuses to run as root unless told to.
    return ("--user=root",) if os.geteuid() == 0 else ()


def _program(name: str) -> str:
    program = _INSTALLATION / "bin" / name
    if not program.is_file():
        raise MySQLError("MySQL is not installed: run `make setup`")
    return str(program)
