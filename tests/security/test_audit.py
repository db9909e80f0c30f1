"""`make audit` with a vulnerability database on this machine."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VULNERABLE = {
    "id": "PYSEC-1",
    "summary": "made up",
    "affected": [
        {
            "package": {"name": "pymysql", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.0"}]}],
        }
    ],
}


class Osv(BaseHTTPRequestHandler):
    """Knows one vulnerability: https://google.github.io/osv.dev/post-v1-query/."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = {"vulns": [VULNERABLE]} if query["package"]["name"] == "pymysql" else {}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def database() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()


def audit(folder: Path, url: str, *packages: str) -> subprocess.CompletedProcess[str]:
    file = folder / "requirements.txt"
    file.write_text("".join(f"{package} --hash=sha256:{'0' * 64}\n" for package in packages))
    return subprocess.run(
        [ROOT / "requirements" / "audit.sh", file],
        env={
            **os.environ,
            "PATH": f"{ROOT / '.venv-checks' / 'bin'}:{os.environ['PATH']}",
            "PIP_AUDIT_OSV_URL": url,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_vulnerable_package_is_named(tmp_path: Path, database: str) -> None:
    finished = audit(tmp_path, database, "pymysql==1.1.0", "wrapt==2.5.2")
    assert finished.returncode == 1
    assert "PYSEC-1" in finished.stdout
    assert "9.0" in finished.stdout
    assert "vulnerable packages" in finished.stderr


def test_packages_without_known_vulnerabilities_pass(tmp_path: Path, database: str) -> None:
    finished = audit(tmp_path, database, "wrapt==2.5.2")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "no known vulnerabilities" in finished.stdout


def test_without_a_vulnerability_database_nothing_passes(tmp_path: Path) -> None:
    finished = audit(tmp_path, "http://127.0.0.1:1/v1/query", "wrapt==2.5.2")
    assert finished.returncode == 1
    assert "was not audited" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert finished.stdout == ""
