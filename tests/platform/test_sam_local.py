"""`make start-api`: the service in real Lambda containers, against the platform on this machine."""

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from local.start_api import base_image
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "tests" / "docker" / "engine.sh"
ENGINE_FOLDER = ROOT / ".cache" / "docker"
START_SECONDS = 120
STOP_SECONDS = 60


@pytest.fixture(scope="module")
def engine() -> Iterator[None]:
    """A Docker engine. If these tests started it, they stop it."""
    start = subprocess.run(
        [ENGINE, "start", ENGINE_FOLDER], capture_output=True, text=True, check=False
    )
    if start.returncode != 0:
        pytest.skip(f"needs Docker: {start.stderr.splitlines()[-1]}")
    subprocess.run([sys.executable, "-m", "tests.docker.lambda_image"], cwd=ROOT, check=True)
    yield
    if "started" in start.stderr:
        subprocess.run([ENGINE, "stop", ENGINE_FOLDER], check=True)


def test_trades_are_booked_and_ctrl_c_leaves_nothing_behind(
    engine: None, platform: Any, tmp_path: Path
) -> None:
    containers = lambda_containers()

    with start_api(platform.env, tmp_path / "start-api.log") as url:
        booked = requests.post(url, json={"symbol": "AAPL", "quantity": 100}, timeout=60)
        warm = requests.post(url, json={"symbol": "AAPL", "quantity": 100}, timeout=10)
        refused = requests.post(url, json={"symbol": "AAPL", "quantity": -1}, timeout=10)
        page = requests.get(url.replace("/trade", "/docs"), timeout=60)

    assert booked.status_code == 200, (tmp_path / "start-api.log").read_text()
    assert booked.json()["environment"] == platform.environment
    assert warm.status_code == 200
    assert warm.json()["trade_id"] != booked.json()["trade_id"]
    assert refused.status_code == 400
    assert "swagger-ui.js" in page.text
    assert lambda_containers() == containers
    with pytest.raises(requests.ConnectionError):
        requests.post(url, timeout=10)


def test_without_an_engine_one_line_says_what_to_do() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.docker.lambda_image"],
        cwd=ROOT,
        env={**os.environ, "DOCKER_HOST": "unix:///nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "no Docker engine answers" in result.stderr


def test_the_relay_serves_the_containers_of_its_run_only(
    engine: None, platform: Any, tmp_path: Path
) -> None:
    with start_api(platform.env, tmp_path / "start-api.log") as url:
        assert requests.get(url.replace("/trade", "/health"), timeout=60).status_code == 200
        (network,) = docker("network", "ls", "--quiet", "--filter=name=trading-start-api-")
        (subnet,) = docker(
            "network", "inspect", network, "--format={{(index .IPAM.Config 0).Subnet}}"
        )
        gateway = str(ipaddress.ip_network(subnet)[1])
        target = f"{gateway}:{platform.settings.port}"
        # From this machine, like another of its users.
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://{target}/", timeout=10)
        ask = (
            "import sys, urllib.request, urllib.error\n"
            f"try: urllib.request.urlopen('http://{target}/_platform/identity', timeout=5)\n"
            "except OSError as error: sys.exit(f'unreachable {error}')\n"
        )
        for joined, reached in (("bridge", False), (network, True)):
            run = ("docker", "run", "--rm", f"--network={joined}", "--entrypoint=python3.13")
            asked = subprocess.run(
                [*run, base_image(), "-c", ask], capture_output=True, text=True, check=False
            )
            assert (asked.returncode == 0) is reached, asked.stderr
    assert not docker("network", "ls", "--quiet", "--filter=name=trading-start-api-")


@contextmanager
def start_api(variables: dict[str, str], log: Path) -> Iterator[str]:
    """Run `make start-api` on a free port until the block ends; yields the trade URL."""
    port = free_port()
    with log.open("wb") as output:
        make = subprocess.Popen(
            ["make", "start-api"],
            cwd=ROOT,
            env={**os.environ, **variables, "START_API_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not listens(port):
            assert make.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/trade"
    finally:
        if make.poll() is None:
            os.killpg(make.pid, signal.SIGINT)
        make.wait(STOP_SECONDS)


def lambda_containers() -> set[str]:
    listed = docker("ps", "--all", "--quiet", "--filter=label=sam.cli.container.type=lambda")
    return set(listed)


def docker(*arguments: str) -> list[str]:
    """The words that a docker command prints."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.split()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
