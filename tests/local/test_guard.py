"""The emulator answers only this platform's tools and pages."""

from __future__ import annotations

import contextlib
import functools
import html
import http.client
import http.server
import io
import json
import os
import re
import shlex
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from local.emulator.installation import IDENTITY_PATH, Installation
from tests.support.browser import browser
from tests.support.emulator import ROOT, Emulator, running_emulator, until
from tests.support.ports import free_port_base

API = "/restapis/none/dev/_user_request_/"
PARAMETERS = "Action=CreateTopic&Version=2010-03-31&Name="


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("guard") / "local") as running:
        yield running


def create(emulator: Emulator, name: str, path: str = "/", **headers: str) -> int:
    """The status of a plain form post that creates a topic."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=10)
    connection.request("POST", path, PARAMETERS + name, {**FORM, **headers})
    return connection.getresponse().status


SIGNATURE = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sns/aws4_request, Signature=0"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": SIGNATURE}


def topics(emulator: Emulator) -> set[str]:
    listed = emulator.client("sns").list_topics()["Topics"]
    return {topic["TopicArn"].rpartition(":")[2] for topic in listed}


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("rebound", {"Host": "attacker.example"}),
        ("rebound-with-port", {"Host": "attacker.example:14560"}),
        ("like-localhost", {"Host": "localhost.attacker.example"}),
        # It stands for `::1` first, where another user may listen, and serve a page.
        ("localhost", {"Host": "localhost:14560", "Sec-Fetch-Site": "none"}),
        ("no-host", {"Host": ""}),
        # Browsers do not count these as this machine, so they say nothing of the page.
        ("any-address", {"Host": "0.0.0.0:14560"}),
        ("any-address-6", {"Host": "[::]:14560"}),
        ("this-network", {"Host": "0.0.0.1"}),
        ("mapped", {"Host": "[::ffff:127.0.0.1]:14560"}),
        ("foreign-origin", {"Origin": "https://attacker.example"}),
        ("hidden-origin", {"Origin": "null"}),
        ("other-local-port", {"Origin": "http://127.0.0.1:3000"}),
        ("cross-site", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}),
        ("same-site", {"Sec-Fetch-Site": "same-site"}),
        # Another user could have served it on this port before.
        ("same-origin", {"Sec-Fetch-Site": "same-origin"}),
        ("typed", {"Sec-Fetch-Site": "none"}),
    ],
)
def test_a_request_from_another_site_changes_nothing(
    emulator: Emulator, name: str, headers: dict[str, str]
) -> None:
    assert create(emulator, name, **headers) == 403
    assert name not in topics(emulator)


def test_no_page_of_the_own_origin_reaches_aws(emulator: Emulator) -> None:
    """Another user could have served it, on this port before."""
    target = {"X-Amz-Target": "SNS.CreateTopic", "Authorization": SIGNATURE}
    for origin in (emulator.url, f"http://localhost:{emulator.port}"):
        assert create(emulator, "of-own-origin", Origin=origin, **target) == 403
    assert "of-own-origin" not in topics(emulator)


def test_programs_are_answered_without_cross_origin_headers(emulator: Emulator) -> None:
    assert create(emulator, "no-browser") == 200
    assert create(emulator, "local-name", Host=f"localhost:{emulator.port}") == 200
    signed = {"Authorization": SIGNATURE}
    answer = requests.get(f"{emulator.url}/?{PARAMETERS}signed", headers=signed, timeout=10)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert {"no-browser", "local-name", "signed"} <= topics(emulator)


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_a_browser_reaches_a_deployed_api_and_its_path_leads_to_nothing_else(
    emulator: Emulator, site: str
) -> None:
    asked = {"Sec-Fetch-Site": site, "Origin": emulator.url, "X-Amz-Target": "SNS.CreateTopic"}
    for path in ("", "../../../../", "%2e%2e/%2e%2e/%2e%2e/%2e%2e/"):
        assert create(emulator, "by-path", f"{API}{path}", **asked) == 404
    name = f"localhost:{emulator.port}"
    assert create(emulator, "by-path", API, Host=name, Origin=f"http://{name}") == 403
    assert "by-path" not in topics(emulator)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_of_the_machine_changes_nothing(emulator: Emulator) -> None:
    assert emulator.process
    address = ("127.0.0.1", emulator.port)

    def connection_of(user: int) -> http.client.HTTPConnection:
        # A port of its own, which no connection of another program shares.
        connection = http.client.HTTPConnection(
            *address, timeout=10, source_address=("127.0.0.1", 0)
        )
        os.seteuid(user)
        try:
            connection.connect()
        finally:
            os.seteuid(0)
        connection.auto_open = 0  # not again, as somebody else
        return connection

    def create_by(connection: http.client.HTTPConnection, name: str) -> int:
        try:
            connection.request("POST", "/", f"{PARAMETERS}{name}", FORM)
            with connection.getresponse() as answer:
                answer.read()
        except ConnectionError:
            return 403  # it has been closed before all was sent
        return answer.status

    assert create_by(connection_of(os.getuid()), "by-the-developer") == 200
    assert create_by(connection_of(65534), "by-another-user") == 403
    # While the emulator is busy, another user sends a request and resets the connection, and a
    # program of the developer gets its port.
    other = connection_of(65534)
    assert create(emulator, "accepted-later") == 200
    os.kill(emulator.process.pid, signal.SIGSTOP)
    try:
        source = other.sock.getsockname()
        other.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            other.request("POST", "/", f"{PARAMETERS}by-a-reset-connection", FORM)
        other.close()
        with socket.create_connection(address, source_address=source) as own:
            os.kill(emulator.process.pid, signal.SIGCONT)
            assert create(emulator, "by-the-developer-again") == 200
            assert own.getsockname() == source
    finally:
        os.kill(emulator.process.pid, signal.SIGCONT)
    made = {name for name in topics(emulator) if name.startswith("by-")}
    assert made == {"by-the-developer", "by-the-developer-again"}


def test_a_public_page_in_a_browser_reaches_nothing(emulator: Emulator, tmp_path: Path) -> None:
    """The page posts a hidden form on its own, fetches the same, and shows it as an image."""
    form = "".join(
        f'<input name="{field}" value="{html.escape(value)}">'
        for field, value in (part.split("=") for part in f"{PARAMETERS}by-form".split("&"))
    )
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(
        f'<form id="f" method="post" action="{emulator.url}/" target="frame">{form}</form>'
        '<iframe name="frame" onload="window.loads = (window.loads ?? 0) + 1"></iframe>'
        + "".join(
            f'<img src="http://{host}:{emulator.port}/?{html.escape(PARAMETERS)}by-image" '
            'onerror="window.images = (window.images ?? 0) + 1">'
            for host in ("127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]")
        )
        + f"<script>document.getElementById('f').submit();"
        f"fetch('{emulator.url}/?{PARAMETERS}by-fetch').then(a => a.text())"
        ".then(text => window.read = text, error => window.read = 'refused: ' + error)</script>"
    )
    # From the first connection on: a browser keeps spare ones, and asks on them later.
    handler = functools.partial(
        Silent, directory=str(site), to=f"{emulator.url}/?{PARAMETERS}by-redirect"
    )
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        browser(tmp_path / "profile") as page,
    ):
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        for host in ("127.0.0.1", "localhost"):  # the same site, and another one
            page.open(f"http://{host}:{server.server_port}/index.html")
            read = page.wait_for(f"location.hostname === '{host}' && window.read")
            assert read.startswith("refused: ")
            page.wait_for("window.loads >= 2 && window.images === 3")
        # Nobody typed this address, but the browser says so: of the page that redirects to it.
        page.open(f"http://localhost:{server.server_port}/away")
        page.wait_for("document.body?.innerText.includes('a browser reaches deployed APIs alone')")
        page.open(f"{emulator.url}{API}")
        page.wait_for("document.body?.innerText.includes('Not Found')")
        server.shutdown()
    assert not topics(emulator) & {"by-form", "by-fetch", "by-image", "by-redirect"}


@pytest.mark.parametrize(
    "query",
    [
        f"{PARAMETERS}by-address",
        "%41ction=CreateTopic&Name=by-address",
        f"Action=&{PARAMETERS}by-address&X-Amz-Signature=0",
    ],
)
def test_an_address_alone_changes_nothing(emulator: Emulator, query: str) -> None:
    """Whatever a browser says of where it comes from; some say nothing."""
    for headers in ({}, {"Sec-Fetch-Site": "none"}, {"Authorization": "Basic AWS4-HMAC-SHA256 "}):
        answer = requests.get(f"{emulator.url}/?{query}", headers=headers, timeout=10)
        assert answer.status_code == 403
    assert "by-address" not in topics(emulator)


class Silent(http.server.SimpleHTTPRequestHandler):
    """Serves files, and redirects from `/away` to an address."""

    def __init__(self, *arguments: Any, to: str = "", **options: Any) -> None:
        self.to = to
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", self.to)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002
        """Keep the tests' output clean."""


# What a function has of its own under the name of one of the user's settings, and the system's.
OF_A_FUNCTION = {"HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ"}


def test_a_function_sees_neither_the_users_home_nor_the_users_settings(
    emulator: Emulator,
) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr(
            "index.py",
            "import os, pathlib\n"
            "def handler(event, context):\n"
            "    folders = str(pathlib.Path.home()), os.environ['TMPDIR']\n"
            "    return {'folders': folders, 'names': sorted(os.environ)}\n",
        )
    client = emulator.client("lambda")
    client.create_function(
        FunctionName="nosy",
        Runtime="python3.13",
        Handler="index.handler",
        Role="arn:aws:iam::000000000000:role/any",
        Code={"ZipFile": code.getvalue()},
    )
    client.get_waiter("function_active_v2").wait(FunctionName="nosy")
    seen = json.loads(client.invoke(FunctionName="nosy")["Payload"].read())
    assert all(Path(folder).is_relative_to(emulator.folder) for folder in seen["folders"])
    own = {name for name in os.environ if not name.startswith(("AWS_", "PYTHON"))}
    assert own & set(seen["names"]) <= OF_A_FUNCTION


def test_other_users_of_the_machine_can_read_no_state(emulator: Emulator) -> None:
    emulator.client("ssm").put_parameter(Name="/secret", Value="v", Type="SecureString")
    files = [file for file in (emulator.folder / "emulator").rglob("*") if not file.is_symlink()]
    assert any(file.suffix == ".json" for file in files)
    readable = [file for file in files if stat.S_IMODE(file.stat().st_mode) & 0o077]
    assert not readable
    assert stat.S_IMODE(emulator.folder.stat().st_mode) == 0o700


def platform(command: str, folder: Path, port: int) -> subprocess.CompletedProcess[str]:
    """Run a command of the platform for a folder and a port."""
    return subprocess.run(
        [sys.executable, "-m", "local.platform", command],
        cwd=ROOT,
        env={**os.environ, "LOCAL_DIR": str(folder), "LOCAL_PORT_BASE": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["up", "status", "env"])
def test_the_platform_of_another_clone_on_the_port_is_one_clear_line(
    emulator: Emulator, tmp_path: Path, command: str
) -> None:
    done = platform(command, tmp_path / "other", emulator.port)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert str(emulator.folder) in line
    assert "LOCAL_PORT_BASE" in line


@pytest.mark.parametrize("command", ["up", "status", "env"])
def test_an_unknown_program_on_the_port_is_one_clear_line(tmp_path: Path, command: str) -> None:
    handler = functools.partial(Silent, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        # Database ports are above the base, which must leave room for them.
        done = platform(command, tmp_path / "own", min(server.server_port, 65000))
        server.shutdown()
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "in use by another program" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("command", ["up", "status", "env"])
def test_a_server_of_another_user_is_not_the_platform(tmp_path: Path, command: str) -> None:
    """It answers as the folder's own emulator does."""
    folder = tmp_path / "own"
    site = tmp_path / "site"
    (site / IDENTITY_PATH[1:]).parent.mkdir(parents=True)
    (site / IDENTITY_PATH[1:]).write_text(json.dumps({"folder": str(folder), "pid": 1}))
    handler = functools.partial(Silent, directory=str(site))
    port = free_port_base()
    os.seteuid(65534)
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    finally:
        os.seteuid(0)
    with server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        done = platform(command, folder, port)
        server.shutdown()
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "in use by another program" in line


def test_the_port_of_the_folders_own_emulator_is_recorded(emulator: Emulator) -> None:
    done = platform("status", emulator.folder, emulator.port + 1)
    assert done.returncode == 1
    assert f"set LOCAL_PORT_BASE={emulator.port}" in done.stderr


def test_the_variables_of_another_clone_change_nothing(emulator: Emulator, tmp_path: Path) -> None:
    """A shell has one clone's variables, but another clone now uses the port."""
    with running_emulator(tmp_path / "first") as first:
        variables = platform("env", first.folder, first.port).stdout
        script = (
            "import boto3; sns = boto3.client('sns'); print(sns.meta.region_name);"
            "sns.create_topic(Name='mine')"
        )
        run = f"{variables}\n{shlex.quote(sys.executable)} -c {shlex.quote(script)}"
        own = subprocess.run(["bash", "-euc", run], capture_output=True, text=True, check=True)
        assert own.stdout == "us-east-1\n"
        assert topics(first) == {"mine"}
    moved = re.sub(rf"127\.0\.0\.1:{first.port}", f"127.0.0.1:{emulator.port}", run)
    other = subprocess.run(["bash", "-euc", moved], capture_output=True, text=True, check=False)
    assert other.returncode != 0
    assert f"this is the platform of {emulator.folder}" in other.stderr
    assert "mine" not in topics(emulator)


def test_a_second_up_of_one_folder_ends(tmp_path: Path, emulator: Emulator) -> None:
    settings = Installation(tmp_path / "local", emulator.port + 5)
    settings.make_folder()
    holder = (
        "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, settings.folder / "up.lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        done = platform("up", settings.folder, settings.port)
        first.communicate()
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "another `make up` is running" in line
    until(lambda: first.poll() is not None, "the first one to end")
