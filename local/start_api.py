"""`sam local start-api` with the deployed values: the service's API on this machine.

    ENVIRONMENT_SUFFIX=dev python -m local.start_api

It uses the platform that `make up` started or, if AWS_ENDPOINT_URL is set, the one there. `sam
local` resolves no SSM parameters, and functions get only the variables that the template declares.
So this command runs `sam local start-api` on a copy of the built template. The copy has the
deployed values as the parameters' defaults, and the AWS endpoints of the environment
(AWS_ENDPOINT_URL and its per-service variants) as variables of the functions. After a change of
code, build again; the next request runs it. After a change of the template or of a value, restart.

The local platform's emulator and database listen on the loopback interface, which a container
cannot reach. A relay forwards their ports: it listens on the gateway address of a Docker network
that exists for this run, and serves only the containers of that network.
"""

import asyncio
import contextlib
import errno
import ipaddress
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from local.platform import aws_variables, enter_environment, local_installation
from service.deploy.build import built_template
from service.deploy.deployed import deployed_values
from shared.cli.errors import UserError, exit_code
from shared.contract.loader import load_contract
from shared.contract.template import parameter_overrides
from shared.naming import check_environment_suffix, check_regions

DEFAULT_PORT = 3000
PYTHON = "3.13"  # the functions' runtime
# The name by which a function finds this machine; the database's certificate contains it.
HOST_NAME = "host.docker.internal"

_RELAY_BYTES = 64 * 1024
_DOCKER_SECONDS = 60
_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_HIGHEST_PORT = 65535
_PATHS = {"CodeUri", "ContentUri"}  # what `sam build` has written relative to its template


@dataclass(frozen=True)
class Network:
    """A Docker network, the address of this machine in it, and those of its containers."""

    name: str
    gateway: str
    addresses: ipaddress.IPv4Network | ipaddress.IPv6Network

    def has_container(self, address: str) -> bool:
        """Whether an address is a container's. Programs of this machine use the gateway's."""
        return address != self.gateway and ipaddress.ip_address(address) in self.addresses


@dataclass(frozen=True)
class Reachable:
    """Values with which a container reaches what the given ones reach from this machine."""

    parameters: Mapping[str, str]
    endpoints: Mapping[str, str]
    ports: frozenset[int]


def reachable(
    parameters: Mapping[str, str], endpoints: Mapping[str, str], gateway: str
) -> Reachable:
    """What a container uses instead of `parameters` and `endpoints` (AWS endpoint URLs).

    Loopback hosts are replaced and their ports relayed; everything else stays. A host among the
    parameters becomes a name, because certificates contain names. Its port is another parameter, so
    the ports of all parameters whose names end with Port are relayed. The host of a URL becomes the
    gateway's address: with a name, S3 clients would connect to BUCKET.NAME.
    """
    local = {name: port for name, url in endpoints.items() if (port := _loopback_port(url))}
    ports = set(local.values())
    new_endpoints = {
        name: urlsplit(url)._replace(netloc=f"{gateway}:{local[name]}").geturl()
        if name in local
        else url
        for name, url in endpoints.items()
    }
    new_parameters = {
        name: HOST_NAME if _is_loopback(value) else value for name, value in parameters.items()
    }
    if new_parameters != parameters:
        ports |= {int(value) for name, value in parameters.items() if name.endswith("Port")}
    return Reachable(new_parameters, new_endpoints, frozenset(ports))


def local_template(
    template: Path, parameters: Mapping[str, str], variables: Mapping[str, str]
) -> Path:
    """Write the copy of a built template that `sam local` runs, and give its path.

    It has `parameters` as defaults and declares `variables` for all functions. It is outside the
    build folder, so that a later build does not delete it under a running `sam`.
    """
    document: dict[str, Any] = _of_no_preview(yaml.safe_load(template.read_text()))
    for name, value in parameters.items():
        if name in document.get("Parameters", {}):
            document["Parameters"][name]["Default"] = value
    function = document.setdefault("Globals", {}).setdefault("Function", {})
    function.setdefault("Environment", {}).setdefault("Variables", {}).update(variables)
    for resource in document["Resources"].values():
        properties = resource.get("Properties", {})
        for path in _PATHS & properties.keys():
            properties[path] = f"{template.parent.name}/{properties[path]}"
    copy = template.parents[1] / "local-template.json"
    copy.write_text(json.dumps(document, indent=2, default=str))
    return copy


def _of_no_preview(node: Any) -> Any:
    """The template's part for an environment's own service, not for a preview.

    `sam local` cannot choose between two values if one is an attribute of a secret.
    """
    match node:
        case {"Fn::If": ["IsPreview", _, otherwise]}:
            return _of_no_preview(otherwise)
        case dict():
            return {name: _of_no_preview(value) for name, value in node.items()}
        case list():
            return [_of_no_preview(value) for value in node]
    return node


async def serve(
    options: Iterable[str], endpoints: Mapping[str, str], network: Network, ports: Iterable[int]
) -> None:
    """Run `sam local start-api` with `options` until SIGINT or SIGTERM ends it cleanly.

    Meanwhile, containers of `network` that connect to one of `ports` on its gateway reach that port
    of the loopback interface. Functions know the gateway as `HOST_NAME`.

    Raises:
        UserError: the gateway is not an address of this machine, or `sam` ended unexpectedly.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    for relayed in ports:
        await start_relay(network, relayed)
    with tempfile.TemporaryDirectory() as temporary:
        sam = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "samcli", "local", "start-api"),
            *options,
            # As in Lambda, a container stays for the next request and keeps its connection.
            "--warm-containers=LAZY",
            f"--docker-network={network.name}",
            f"--add-host={HOST_NAME}:{network.gateway}",
            env=os.environ
            # `sam` prefers these values to those in the template.
            | dict(endpoints)
            # An interrupted `sam` leaves lock files, for which the next one would wait 5 minutes.
            | {"TMPDIR": temporary, "SAM_CLI_TELEMETRY": "0"},
            # A process group of its own: Ctrl-C then reaches `sam` once, as SIGTERM from here.
            start_new_session=True,
        )
        ended, stopped = asyncio.create_task(sam.wait()), asyncio.create_task(stop.wait())
        await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            sam.terminate()
            await ended
        elif not stopped.done():
            raise UserError(f"sam local start-api ended with exit code {ended.result()}")


async def start_relay(network: Network, port: int) -> None:
    """Let the containers of `network` reach a port of the loopback interface on its gateway.

    Raises:
        UserError: the gateway is not an address of this machine.
    """

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not network.has_container(writer.get_extra_info("peername")[0]):
            writer.close()
            return
        # Cancelled at the program's end, which Python 3.11 would print as an error.
        ended = contextlib.suppress(OSError, asyncio.CancelledError)
        with contextlib.closing(writer), ended:
            upstream = await _connect(port)
            with contextlib.closing(upstream[1]):
                await asyncio.gather(_copy(reader, upstream[1]), _copy(upstream[0], writer))

    try:
        await asyncio.start_server(relay, network.gateway, port)
    except OSError as error:
        # A program that listens on all addresses needs no relay.
        if error.errno != errno.EADDRINUSE:
            raise UserError(
                f"cannot listen on {network.gateway}:{port} for containers: {error}"
            ) from None


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    # The name `localhost` stands for `::1` first, where another user may listen on the same port.
    try:
        return await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return await asyncio.open_connection("::1", port)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_RELAY_BYTES):
        sink.write(data)
        await sink.drain()
    sink.write_eof()


def architecture() -> str:
    """This machine's architecture as Lambda names it: `x86_64` or `arm64`.

    Raises:
        UserError: Lambda has no such architecture.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise UserError(f"Lambda has no architecture for this machine ({machine})")
    return _ARCHITECTURES[machine]


def base_image() -> str:
    """The image in which `sam local` runs Python functions on this machine."""
    return f"public.ecr.aws/lambda/python:{PYTHON}-{architecture()}"


def engine_variables(variables: Mapping[str, str], root: Path = Path("/")) -> dict[str, str]:
    """The variable that leads Docker's tools to the engine of this machine, if they need one.

    The SAM CLI reads `DOCKER_HOST` and knows the usual socket, but no `docker context`. So the
    sockets of Docker Desktop, of rootless Docker and of podman are looked for.
    https://docs.docker.com/engine/security/rootless/
    https://docs.podman.io/en/latest/markdown/podman-system-service.1.html
    """
    if variables.get("DOCKER_HOST") or (root / "var/run/docker.sock").exists():
        return {}
    home, user = variables.get("HOME", ""), variables.get("XDG_RUNTIME_DIR", "")
    candidates = [
        *([Path(home, ".docker/run/docker.sock")] if home else []),
        *([Path(user, "docker.sock"), Path(user, "podman/podman.sock")] if user else []),
        root / "run/podman/podman.sock",
    ]
    found = next((socket for socket in candidates if socket.exists()), None)
    return {"DOCKER_HOST": f"unix://{found}"} if found else {}


def require_engine() -> None:
    """Check that a Docker engine answers whose networks this machine can serve.

    Raises:
        UserError: none does.
    """
    if not shutil.which("docker"):
        raise UserError(
            "the command `docker` is missing: install Docker or, for podman, podman-docker"
        )
    answer = docker("info", "--format={{json .SecurityOptions}}")
    if answer.returncode != 0:
        raise UserError(
            "no Docker engine answers: install and start one, or name its socket in DOCKER_HOST, "
            "then try again"
        )
    if "name=rootless" in answer.stdout:
        raise UserError(
            "the Docker engine is rootless: its containers cannot reach the database and the "
            "emulator on this machine. Use an engine of root, such as "
            "DOCKER_HOST=unix:///run/podman/podman.sock after `sudo systemctl start podman.socket`"
        )


def docker(*arguments: str, seconds: float = _DOCKER_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run `docker`; if it has not ended after `seconds`, the result counts as failed."""
    command = ("docker", *arguments)
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, returncode=1, stdout="", stderr="no answer")


@contextlib.contextmanager
def _own_network() -> Iterator[Network]:
    """A Docker network for this run."""
    name = f"trading-start-api-{os.getpid()}"
    created = docker("network", "create", name)
    if created.returncode != 0:
        raise UserError(f"Docker cannot create a network: {created.stderr.strip()}")
    try:
        inspected = docker("network", "inspect", name, "--format={{json .IPAM.Config}}")
        subnet = ipaddress.ip_network(json.loads(inspected.stdout)[0]["Subnet"])
        # Docker gives the gateway the first address.
        yield Network(name, str(subnet[1]), subnet)
    finally:
        docker("network", "rm", name)


def _loopback_port(url: str) -> int | None:
    """The port of a URL on the loopback interface; None for all other URLs."""
    parts = urlsplit(url)
    if not _is_loopback(parts.hostname or ""):
        return None
    return parts.port or (443 if parts.scheme == "https" else 80)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _port() -> int:
    text = os.environ.get("START_API_PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= _HIGHEST_PORT:
        raise UserError(f"START_API_PORT {text!r}: use a port from 1 to {_HIGHEST_PORT}")
    return int(text)


def main() -> None:
    """Run the built service with the values of `ENVIRONMENT_SUFFIX` in the first of `REGIONS`.

    Raises:
        UserError: Docker, the built template or the deployed values are missing, or Lambda does not
            run on this machine's architecture.
    """
    environment = check_environment_suffix(os.environ.get("ENVIRONMENT_SUFFIX", "dev"))
    region = check_regions(os.environ.get("REGIONS", "us-east-1"))[0]
    port = _port()
    if "AWS_ENDPOINT_URL" not in os.environ:
        enter_environment(aws_variables(local_installation(), os.environ))
    built = built_template(os.environ)
    if not built.is_file():
        raise UserError("the service is not built: run `make build-service`")
    os.environ.update(engine_variables(os.environ))
    require_engine()
    own = {
        "EnvironmentSuffix": environment,
        "LambdaArchitecture": architecture(),
        "Documentation": "Enabled",
    }
    names = parameter_overrides(built, load_contract(), environment)
    values = deployed_values(names, region, environment)
    endpoints = {
        name: value for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT_URL")
    }
    with _own_network() as network:
        inside = reachable(values, endpoints, network.gateway)
        template = local_template(built, {**inside.parameters, **own}, inside.endpoints)
        options = [f"--template={template}", f"--region={region}", f"--port={port}"]
        if docker("image", "inspect", base_image()).returncode == 0:
            options.append("--skip-pull-image")  # its registry may be out of reach
        asyncio.run(serve(options, inside.endpoints, network, inside.ports))


if __name__ == "__main__":
    sys.exit(exit_code(main))
