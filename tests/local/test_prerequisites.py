"""How `make setup` installs programs that are not on PyPI."""

import functools
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "local" / "prerequisites.sh"
CDKTF_CLI = Path(__file__).parents[2] / "infra" / "cdktf-cli"
VERSION = "1.11.4"
# fmt: off
TOOLS = (
    "awk", "bash", "basename", "cat", "chmod", "cmp", "curl", "dirname", "env", "grep", "head",
    "id", "install", "ls", "mkdir", "mktemp", "mv", "rm", "sed", "sha256sum", "sort", "tr", "uname",
)
# fmt: on


class Machine:
    """A project folder, and a PATH with the usual tools and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.bin = folder / "bin"
        for path in (self.root / "local", self.root / ".venv" / "bin", self.bin):
            path.mkdir(parents=True)
        shutil.copy(SCRIPT, self.root / "local")
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (self.bin / tool).symlink_to(found)
        (self.bin / "python3").symlink_to(Path(sys.executable).resolve())

    def add(self, name: str, script: str) -> None:
        program = self.bin / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def run(self, *programs: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "local" / "prerequisites.sh", *programs],
            env={**os.environ, "PATH": str(self.bin), **variables},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def downloads(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server, and the folder of this version's files on it."""
    folder = tmp_path / "web" / VERSION
    folder.mkdir(parents=True)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()


def publish(folder: Path) -> str:
    """Put other bytes than HashiCorp's on the server, with sums that fit; their checksum."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    name = f"terraform_{VERSION}_linux_{machine}.zip"
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("terraform", "#!/bin/sh\necho downloaded\n")
    checksum = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / f"terraform_{VERSION}_SHA256SUMS").write_text(f"{checksum}  {name}\n")
    return checksum


def test_a_missing_terraform_is_downloaded_and_verified(
    machine: Machine, downloads: tuple[str, Path]
) -> None:
    url, folder = downloads
    checksum = publish(folder)
    script = machine.root / "local" / SCRIPT.name
    text, pins = re.subn(r"[0-9a-f]{64} linux_", f"{checksum} linux_", script.read_text())
    assert pins == 2
    script.write_text(text)
    done = machine.run("terraform", TERRAFORM_DOWNLOAD_URL=url)
    assert done.returncode == 0, done.stderr
    installed = machine.root / ".venv" / "bin" / "terraform"
    assert subprocess.run([installed], capture_output=True, check=True).stdout == b"downloaded\n"


def test_other_bytes_from_the_host_of_the_downloads_are_not_installed(
    machine: Machine, downloads: tuple[str, Path]
) -> None:
    url, folder = downloads
    publish(folder)
    done = machine.run("terraform", TERRAFORM_DOWNLOAD_URL=url)
    assert done.returncode == 1
    assert "has not the checksum in local/prerequisites.sh" in done.stderr
    assert not (machine.root / ".venv" / "bin" / "terraform").exists()


def test_the_checksum_of_each_supported_system_is_pinned_with_the_version() -> None:
    pins = re.findall(r"^([0-9a-f]{64}) (\w+)$", SCRIPT.read_text(), re.MULTILINE)
    systems = {"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"}
    assert {system for _, system in pins} == systems
    assert len({checksum for checksum, _ in pins}) == len(systems)


def test_a_terraform_that_cannot_be_downloaded_is_one_clear_line(
    machine: Machine, downloads: tuple[str, Path]
) -> None:
    url, _ = downloads
    done = machine.run("terraform", TERRAFORM_DOWNLOAD_URL=url)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: terraform is missing")


@pytest.mark.parametrize(
    ("program", "script", "complaint"),
    [
        ("node", None, "node is missing: install Node.js 18"),
        ("node", "echo v16.20.0", "node is v16.20.0: install Node.js 18"),
        ("terraform", 'echo \'{"terraform_version": "1.5.7"}\'', "terraform is 1.5.7"),
        ("shellcheck", None, "with your package manager"),
    ],
)
def test_a_missing_or_old_program_that_cannot_be_installed_is_one_clear_line(
    machine: Machine, program: str, script: str | None, complaint: str
) -> None:
    if script:
        machine.add(program, script)
    done = machine.run(program)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_program_is_installed_with_the_systems_package_manager(machine: Machine) -> None:
    machine.add("apt-get", 'echo "$@" >>"$(dirname "$0")/../apt.log"')
    done = machine.run("shellcheck")
    assert done.returncode == 0, done.stderr
    log = (machine.root.parent / "apt.log").read_text().splitlines()
    assert log[0] == "update -q"
    assert log[1].endswith("shellcheck")


def test_installed_and_recent_programs_pass_silently(machine: Machine) -> None:
    machine.add("node", "echo v22.1.0")
    machine.add("terraform", 'echo \'{"terraform_version": "1.11.4"}\'')
    done = machine.run("python", "node", "terraform")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def mysqld(version: str) -> str:
    """A program that says the version as a database server does."""
    return f"echo '/usr/sbin/mysqld  Ver {version} for Linux on x86_64 (Source distribution)'"


def test_cdktfs_program_comes_with_the_packages_of_its_lock_alone(machine: Machine) -> None:
    pinned = machine.root / "infra" / "cdktf-cli"
    shutil.copytree(CDKTF_CLI, pinned)
    machine.add(
        "npm",
        'echo "$@" >>"$(dirname "$0")/../npm.log"; cd "$3" && mkdir -p node_modules/.bin '
        "&& echo >node_modules/.bin/cdktf && chmod 755 node_modules/.bin/cdktf",
    )
    log = machine.root.parent / "npm.log"
    for _ in range(2):
        assert machine.run("cdktf").returncode == 0
        (said,) = log.read_text().splitlines()
    assert said.startswith("ci ")
    assert "--ignore-scripts" in said
    # What another lock has installed is not used.
    (pinned / "package-lock.json").write_text("{}")
    assert machine.run("cdktf").returncode == 0
    assert len(log.read_text().splitlines()) == 2


def test_each_package_of_cdktfs_program_is_pinned_with_a_hash() -> None:
    packages = json.loads((CDKTF_CLI / "package-lock.json").read_text())["packages"]
    wanted = json.loads((CDKTF_CLI / "package.json").read_text())["dependencies"]
    assert packages.pop("")["dependencies"] == wanted
    # What is in another package's archive is as it was published.
    apart = [each for each in packages.values() if not each.get("inBundle")]
    assert all(each["integrity"].startswith("sha512-") for each in apart)
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version


@pytest.mark.parametrize("version", ["8.0.46", "8.4.9", "9.7.4-2"])
def test_an_installed_and_recent_mysql_is_used(machine: Machine, version: str) -> None:
    machine.add("mysqld", mysqld(version))
    for program in ("mysql", "mysqldump"):
        machine.add(program, f'echo "{program} $*"')
    done = machine.run("mysql")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    taken = machine.root / ".cache" / "mysql" / "bin"
    told = subprocess.run([taken / "mysqld"], capture_output=True, text=True, check=True).stdout
    assert version in told
    for program in ("mysql", "mysqldump"):
        told = subprocess.check_output([taken / program, "a b"], text=True)
        assert told == f"{program} a b\n"


@pytest.mark.parametrize("version", ["10.11.19-MariaDB", "5.7.44"])
def test_another_or_an_older_server_is_not_used(machine: Machine, version: str) -> None:
    machine.add("mysqld", mysqld(version))
    machine.add("mysql", "true")
    done = machine.run("mysql")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: MySQL")
    assert not (machine.root / ".cache" / "mysql" / "bin").exists()


def test_an_unreachable_debian_mirror_leaves_nothing_half_installed(machine: Machine) -> None:
    """A second try starts over, because the programs are moved into place last."""
    machine.add("apt-get", "echo 'no network' >&2; exit 100")
    for _ in range(2):
        done = machine.run("mysql")
        assert done.returncode == 1
        assert done.stderr.startswith("error: MySQL")
        assert not (machine.root / ".cache" / "mysql" / "bin").exists()
