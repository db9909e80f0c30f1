"""Which Docker engine `make start-api` uses."""

import os
import subprocess
from pathlib import Path

import pytest

from local import start_api
from local.start_api import engine_variables, require_engine
from shared.cli.errors import UserError
from tests.support.needs import ROOT


def socket(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return f"unix://{path}"


def test_the_usual_socket_and_the_users_own_choice_need_no_variable(tmp_path: Path) -> None:
    socket(tmp_path / "run/podman/podman.sock")
    assert engine_variables({"DOCKER_HOST": "tcp://engine:2375"}, tmp_path) == {}
    socket(tmp_path / "var/run/docker.sock")
    assert engine_variables({}, tmp_path) == {}


def test_other_engines_are_found_by_their_sockets(tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(tmp_path / "run/user/1")}
    assert engine_variables(variables, tmp_path) == {}
    for path in (
        "run/podman/podman.sock",
        "run/user/1/podman/podman.sock",
        "run/user/1/docker.sock",
        "home/.docker/run/docker.sock",
    ):
        found = socket(tmp_path / path)
        assert engine_variables(variables, tmp_path) == {"DOCKER_HOST": found}


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `docker` on PATH, a script that a test writes."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "docker"


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("exit 1", "no Docker engine answers: .* DOCKER_HOST"),
        ('echo \'["name=seccomp,profile=builtin","name=rootless"]\'', "engine is rootless: .*"),
    ],
)
def test_an_engine_that_cannot_be_used_is_one_clear_line(
    docker: Path, script: str, complaint: str
) -> None:
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(0o755)
    with pytest.raises(UserError, match=complaint):
        require_engine()


def test_an_engine_of_root_is_used(docker: Path) -> None:
    docker.write_text("#!/bin/sh\necho '[\"name=seccomp,profile=builtin\"]'\n")
    docker.chmod(0o755)
    require_engine()


def test_a_missing_command_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_api.shutil, "which", lambda _name: None)
    with pytest.raises(UserError, match=r"`docker` is missing: .* podman-docker"):
        require_engine()


def test_an_engine_that_the_tests_start_is_for_their_user_alone(tmp_path: Path) -> None:
    """Other members of the user's group could do with it what root can."""
    for name, text in {
        "id": "case $1 in -u) echo 1000 ;; *) echo shared ;; esac",
        "sudo": 'shift; exec "$@"',
        "dockerd": f"echo \"$@\" >'{tmp_path}/started'",
        "docker": f"[ -e '{tmp_path}/started' ]",
        "chown": f"echo \"$@\" >'{tmp_path}/owner'",
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    subprocess.run(
        [ROOT / "tests" / "docker" / "engine.sh", "start", tmp_path / "engine"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stderr=subprocess.DEVNULL,
        check=True,
    )
    assert (tmp_path / "started").read_text().startswith("--group 0 ")
    assert (tmp_path / "owner").read_text() == "1000 /var/run/docker.sock\n"
