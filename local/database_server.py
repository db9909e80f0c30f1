"""A MariaDB server that belongs to one folder: initialised, started, watched and stopped.

The server stands in for an Aurora MySQL cluster, so its settings follow Aurora MySQL's (utf8mb4,
UTC, strict SQL mode, durable commits) in a small memory footprint. It listens on 127.0.0.1 only.
It is a process of its own: it goes on living when the process that started it dies, and any
other process can adopt it by making a `MariaDBServer` of the same folder.
"""

from __future__ import annotations

import ipaddress
import os
import pwd
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

_HOST = "127.0.0.1"
_SOCKET = "mariadb.sock"
_SQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
_CERTIFICATE_DAYS = "3650"
_LOG_TAIL_LINES = 15


class MariaDBError(RuntimeError):
    """The server could not be initialised, started, reached or stopped; the message says why."""


@dataclass(frozen=True)
class TLSFiles:
    """Paths of a local certificate authority and of a server certificate that it signed."""

    ca: Path
    certificate: Path
    key: Path


@dataclass
class MariaDBServer:
    """One MariaDB server: `folder` holds its data, log and pid file, `port` is its TCP port.

    With `tls` the server offers TLS; with `require_tls` it refuses TCP connections without it.
    `options` are further arguments of `mariadbd`, from the next start on.
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
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "mariadbd.pid"

    def start(self, timeout: float = 60) -> None:
        """Start the server, on first use with empty data, and wait until it answers.

        Does nothing when it runs already. `timeout` is in seconds. Raises MariaDBError.
        """
        if self.running():
            return
        # Its own: a server that starts deletes the temporary tables that it finds, whose ever.
        self._temporary.mkdir(parents=True, exist_ok=True)
        if not (self._data / "mysql").is_dir():
            self._initialise()
        self._pid_file.unlink(missing_ok=True)
        # A session of its own: neither a terminal's Ctrl-C nor the end of this process reaches it.
        self._process = subprocess.Popen(
            self._command(),
            cwd=self._data,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + timeout
        while not (self.running() and self._answers()):
            if self._process.poll() is not None:
                raise MariaDBError(
                    f"MariaDB ended with exit code {self._process.returncode} while starting on "
                    f"port {self.port}:\n{self._log_tail()}"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise MariaDBError(
                    f"MariaDB did not answer on port {self.port} within {timeout:.0f} s:\n"
                    f"{self._log_tail()}"
                )
            time.sleep(0.05)

    def stop(self, timeout: float = 60) -> None:
        """Stop the server in an orderly way, by its pid, and wait until it has gone.

        Does nothing when it does not run. `timeout` is in seconds. Raises MariaDBError.
        """
        pid = self.pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while self.pid() == pid:
            if time.monotonic() > deadline:
                raise MariaDBError(f"MariaDB (pid {pid}) did not stop within {timeout:.0f} s")
            time.sleep(0.05)

    def running(self) -> bool:
        """Whether the server's process is alive, whoever started it."""
        return self.pid() is not None

    def pid(self) -> int | None:
        """The process id of the running server, None when it does not run."""
        if self._process is not None:
            self._process.poll()  # reaps our own dead child, which otherwise stays a zombie
        try:
            pid = int(self._pid_file.read_text())
            arguments = _arguments(pid)
        except (OSError, ValueError):
            return None
        # The number may since have gone to another process: only this server has this argument.
        return pid if f"--datadir={self._data}".encode() in arguments else None

    def moved(self) -> bool:
        """Whether the server runs on another port than `port`, which has changed since."""
        pid = self.pid()
        return pid is not None and f"--port={self.port}".encode() not in _arguments(pid)

    def execute(self, sql: str, timeout: float = 30) -> str:
        """Run SQL statements as the local administrator and return the rows, tab separated.

        `timeout` is in seconds. Raises MariaDBError with the server's message.
        """
        # The data folder is the working directory of server and client, so that the socket's
        # name stays short: a path beyond 107 bytes cannot be bound.
        try:
            done = subprocess.run(
                [
                    _program("mariadb"),
                    "--no-defaults",
                    f"--socket={_SOCKET}",
                    f"--user={_user()}",
                    "--default-character-set=utf8mb4",
                    "--batch",
                    "--skip-column-names",
                ],
                cwd=self._data,
                input=sql,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise MariaDBError(f"no answer to a statement within {timeout:.0f} s") from error
        except FileNotFoundError as error:
            raise MariaDBError(f"{self._data} does not exist") from error
        if done.returncode != 0:
            raise MariaDBError(done.stderr.strip())
        return done.stdout

    def remove(self) -> None:
        """Stop the server and delete its folder. Raises MariaDBError."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except MariaDBError:
            return False
        return True

    def _initialise(self) -> None:
        # What a killed initialisation left behind is not a data folder.
        shutil.rmtree(self._data, ignore_errors=True)
        unfinished = self.folder / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        done = subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={unfinished}",
                f"--tmpdir={self._temporary}",
                f"--user={_user()}",
                "--auth-root-authentication-method=socket",
                f"--auth-root-socket-user={_user()}",
                "--skip-test-db",
                "--innodb-log-file-size=16M",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise MariaDBError(f"MariaDB's data could not be initialised:\n{done.stderr.strip()}")
        unfinished.rename(self._data)

    def _command(self) -> list[str]:
        command = [
            _program("mariadbd"),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--tmpdir={self._temporary}",
            f"--user={_user()}",
            f"--bind-address={_HOST}",
            f"--port={self.port}",
            f"--socket={_SOCKET}",
            f"--pid-file={self._pid_file}",
            f"--log-error={self.log_file}",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_uca1400_ai_ci",
            "--default-time-zone=+00:00",
            f"--sql-mode={_SQL_MODE}",
            "--max-connections=200",
            "--skip-name-resolve",
            "--local-infile=0",
            "--innodb-flush-log-at-trx-commit=1",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=16M",
            "--aria-pagecache-buffer-size=8M",
            "--key-buffer-size=1M",
        ]
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


def ensure_tls_files(folder: Path, names: tuple[str, ...] = ()) -> TLSFiles:
    """Make, unless they exist, a local certificate authority and a server certificate.

    The certificate is valid for 127.0.0.1, localhost and `names` (IP addresses or host names,
    wildcards allowed); clients verify servers with the `ca` file. Existing files are kept, so that
    clients need not be told anew. Raises MariaDBError when `openssl` fails.
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
    signed.rename(files.certificate)  # last: its presence says that all the others are there
    return files


def _alternative_name(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(
        [_program("openssl"), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise MariaDBError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")


def _arguments(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def _user() -> str:
    # The server runs as, and admits through its socket, the user of this process, whatever the
    # environment says.
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError as error:
        raise MariaDBError(f"user id {os.geteuid()} has no name on this machine") from error


def _program(name: str) -> str:
    # Servers live in /usr/sbin on Debian, which an ordinary user's PATH may not have.
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise MariaDBError(f"'{name}' is not installed (Debian: mariadb-server, openssl)")
    return path
