"""Starts, stops and shows the platform on this machine: `python -m local.platform up`."""

import argparse
import fcntl
import http.client
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import boto3

from local.database_server import MySQLError, MySQLServer, version
from local.emulator.installation import (
    HOST,
    IDENTITY_PATH,
    Installation,
    InstallationError,
    port_is_free,
)
from local.processes import command_line, command_lines, is_own_server, kernel_knows_users
from shared.cli.aws import AWS_ERRORS
from shared.cli.errors import UserError, exit_code
from shared.cli.table import fit
from shared.naming import (
    check_environment_suffix,
    check_regions,
    check_service_stage,
    service_stack_name,
)

ROOT = Path(__file__).resolve().parent.parent
EMULATOR_PYTHON = ROOT / ".venv-emulator" / "bin" / "python"

_REGION = "us-east-1"
_TIMEOUT_SECONDS = 60
_ANSWER_SECONDS = 10  # even a busy emulator says whose it is within this time
_POLL_SECONDS = 0.2
_PROGRESS_SECONDS = 0.5
_HEARTBEAT_SECONDS = 20  # for a pipe or a file, so that nobody thinks that it hangs
_CLEAR_LINE = "\033[K"
_LOG_TAIL_LINES = 25
_NEXT_STEPS = """
What next?
  eval "$(make local-env)"   send this shell's tools (make, sam, terraform, boto3) to the platform
  make outputs               then: show what both halves publish
  make releases              then: list the releases of the service
  make deploy-service        then: release your change of the service
  make deploy-infra          then: apply your change of the data platform
  make status                show what runs and where
  make down                  stop it; PURGE=1 also deletes its data"""
_EXAMPLE_TRADE = '{"symbol":"AAPL","quantity":100}'

# Unlike on AWS, a curl needs no signature here.
_SERVICE_PARAMETERS = "ApiAuthorization=NONE"

# The user's settings for real accounts must not reach the local deploys: a profile, an endpoint for
# one service, FIPS or dual-stack endpoints would each send requests to AWS itself.
_REAL_ACCOUNT_PREFIX = "AWS_"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # past any proxy
_NO_PROXY = ("127.0.0.1", "localhost")


def aws_variables(installation: Installation, variables: Mapping[str, str]) -> dict[str, str]:
    """The process environment that sends the standard tools to the local platform.

    The same `make deploy-infra` and `make deploy-service` that AWS gets then deploy to it.
    """
    environment = {k: v for k, v in variables.items() if not k.startswith(_REAL_ACCOUNT_PREFIX)}
    return {**environment, **_own_variables(installation, variables)}


def _own_variables(installation: Installation, variables: Mapping[str, str]) -> dict[str, str]:
    """What the platform sets in an environment."""
    no_file = str(installation.folder / "no-aws-config")
    region = (variables.get("REGIONS") or _REGION).partition(",")[0]
    parameters = variables.get("SERVICE_PARAMETERS", "")
    if not parameters.startswith(_SERVICE_PARAMETERS):  # as after `eval "$(make local-env)"`
        parameters = f"{_SERVICE_PARAMETERS} {parameters}".strip()
    return {
        **_past_proxies(variables),
        "AWS_ENDPOINT_URL": installation.url,
        # Another platform's emulator on this port refuses requests that carry this.
        "AWS_SDK_UA_APP_ID": installation.identity,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": no_file,
        "AWS_SHARED_CREDENTIALS_FILE": no_file,
        "AWS_EC2_METADATA_DISABLED": "true",
        # An API that the emulator lacks fails immediately instead of after many retries.
        "AWS_MAX_ATTEMPTS": "3",
        # Polling the emulator is free, so the SAM CLI polls often.
        "SAM_CLI_POLL_DELAY": "0.2",
        "STATE": "local",
        "SERVICE_PARAMETERS": parameters,
        "STATE_DIR": str(installation.folder / "state"),
        "CDKTF_OUTDIR": str(installation.folder / "cdktf.out"),
        "BUILD_DIR": str(installation.folder / "build"),
        # This authority, not Amazon's, signs the certificates of the local databases.
        "RDS_CA_BUNDLE": str(installation.tls / "ca.pem"),
    }


def enter_environment(variables: Mapping[str, str]) -> None:
    """Make `variables` the whole environment of this process, without any of the user's own."""
    os.environ.clear()
    os.environ.update(variables)


def _past_proxies(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that keep requests to this machine away from a proxy, in both spellings.

    Programs read either spelling, and differ in which one they prefer.
    """
    given = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    hosts = ",".join(dict.fromkeys([*filter(None, given.split(",")), *_NO_PROXY]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def up() -> None:
    """Start what does not run, deploy both halves, and print how to book a trade.

    Raises:
        UserError: a program is missing, the port belongs to something else, another `make up` runs
            for this folder, or a deploy failed; the text names the log.
    """
    installation = local_installation()
    enter_environment(aws_variables(installation, os.environ))
    environment, regions = _environment()
    started = time.monotonic()
    for program in ("terraform", "sam"):
        if shutil.which(program, path=_search_path()) is None:
            raise UserError(f"{program} is missing: run `make setup`")
    _require_own_emulator(installation)
    with _alone(installation):
        with _step("emulator"):
            start_emulator(installation)
        for target in ("deploy-infra", "deploy-service"):
            with _step(target):
                _make(target, installation)
    print(f"\nThe platform is up after {time.monotonic() - started:.0f} s.")
    for region in regions:
        url = trade_url(installation, region, environment)
        print(f"\nBook a trade in {region}:\n")
        print(f"  curl -sS -X POST {url} -d '{_EXAMPLE_TRADE}'")
        print(f"\nor in the browser: {url.removesuffix('/trade')}/docs")
    print(_NEXT_STEPS)


def down() -> None:
    """Stop every process of the platform; with `PURGE=1` also delete its files.

    Raises:
        UserError: a process does not stop.
    """
    installation = local_installation()
    pid = _emulator_pid(installation)
    if pid is not None:
        with _step("emulator"):
            os.kill(pid, signal.SIGTERM)
            _wait(lambda: _emulator_pid(installation) is None, "the emulator to stop")
            # Functions end on their own, some a moment later.
            _wait(lambda: not _functions_run(installation), "the functions to end")
    # Database servers outlive an emulator that was killed.
    for server in _database_servers(installation):
        if server.running():
            with _step(f"database {server.folder.name}"):
                server.stop()
    if os.environ.get("PURGE") == "1" and installation.folder.exists():
        with _step("delete files"):
            shutil.rmtree(installation.folder)
    print("The platform is down.")


def status() -> None:
    """Show which parts run and where the API is; with `SERVICE_STAGE`, a preview's.

    Raises:
        UserError: a part does not run, or the port belongs to something else.
    """
    installation = local_installation()
    enter_environment(aws_variables(installation, os.environ))
    environment, regions = _environment()
    stage = check_service_stage(os.environ.get("SERVICE_STAGE", ""))
    _require_own_emulator(installation)
    pid = _emulator_pid(installation)
    print(f"{'emulator':<20}{f'running (pid {pid}) at {installation.url}' if pid else 'stopped'}")
    for server in _database_servers(installation):
        state = f"running (pid {server.pid()})" if server.running() else "stopped"
        print(f"{'database':<20}{state}, MySQL {version()}, data in {server.folder}")
    if pid is None:
        raise UserError("the platform is not up: run `make up`")
    for region in regions:
        print(f"{f'trade API {region}':<20}{trade_url(installation, region, environment, stage)}")


def env() -> None:
    """Print the shell commands that send the standard tools to the platform on this machine.

    Raises:
        UserError: a variable has an unusable value, or the port belongs to something else.
    """
    installation = local_installation()
    _require_own_emulator(installation)
    own = _own_variables(installation, os.environ)
    foreign = [name for name in os.environ if name.startswith(_REAL_ACCOUNT_PREFIX)]
    if unwanted := sorted(set(foreign) - own.keys()):
        print(f"unset {' '.join(unwanted)}")
    for name, value in own.items():
        print(f"export {name}={shlex.quote(value)}")


def trade_url(installation: Installation, region: str, environment: str, stage: str = "") -> str:
    """Where the deployed API answers on this machine.

    Raises:
        UserError: the service is not deployed.
    """
    stack = service_stack_name(region, environment, stage)
    client = boto3.client(
        "cloudformation",
        region_name=region,
        endpoint_url=installation.url,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
    )
    try:
        answer = client.describe_stacks(StackName=stack)
    except AWS_ERRORS:
        verb = f"make deploy-service SERVICE_STAGE={stage}" if stage else "make up"
        raise UserError(f"{stack} is not deployed: run `{verb}`") from None
    return next(
        str(output["OutputValue"])
        for output in answer["Stacks"][0]["Outputs"]
        if output["OutputKey"] == "ApiGatewayUrl"
    )


def local_installation() -> Installation:
    """Folder and ports of the platform: `LOCAL_DIR` (default `.local`) and `LOCAL_PORT_BASE`.

    Raises:
        UserError: a variable has a value that cannot be used.
    """
    try:
        return Installation.from_environment(
            {"LOCAL_DIR": str(ROOT / ".local"), **{k: v for k, v in os.environ.items() if v}}
        )
    except InstallationError as error:
        raise UserError(str(error)) from None


def _environment() -> tuple[str, tuple[str, ...]]:
    environment = check_environment_suffix(os.environ.get("ENVIRONMENT_SUFFIX", "dev"))
    return environment, check_regions(os.environ.get("REGIONS", _REGION))


def _search_path() -> str:
    # Debian keeps server programs where an ordinary user's PATH does not look.
    return os.pathsep.join([os.environ["PATH"], "/usr/local/sbin", "/usr/sbin"])


def start_emulator(installation: Installation) -> None:
    """Start the emulator, unless it runs already, and wait until it answers.

    Raises:
        UserError: it is not installed, or does not start; the text names the log.
    """
    if _owner(installation) == installation.folder:
        return
    if not EMULATOR_PYTHON.exists():
        raise UserError("the emulator is not installed: run `make setup`")
    log = _log_file(installation, "emulator")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [EMULATOR_PYTHON, "-m", "local.emulator"],
            cwd=ROOT,
            env={
                **os.environ,
                "LOCAL_DIR": str(installation.folder),
                "LOCAL_PORT_BASE": str(installation.port),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def ready() -> bool:
        if process.poll() is not None:
            raise UserError(" ".join(_lines(log)[-1:]) or f"the emulator ended; see {log}")
        return _owner(installation) == installation.folder

    _wait(ready, "the emulator to answer")


def _emulator_pid(installation: Installation) -> int | None:
    """The process that the emulator's lock file names, if it still runs."""
    recorded = _recorded(installation)
    if recorded is None:
        return None
    pid, _ = recorded
    # The number may now belong to another process.
    return pid if " local.emulator " in (command_line(pid) or "") else None


def _recorded(installation: Installation) -> tuple[int, int] | None:
    """Process id and port of the emulator that was last started in the folder."""
    try:
        pid, port = map(int, (installation.state / "lock").read_text().split())
    except (OSError, ValueError):
        return None
    return pid, port


def _require_own_emulator(installation: Installation) -> None:
    """Check that nothing, or this folder's own emulator, listens on the port.

    Raises:
        UserError: another platform or program has the port, or this folder's emulator another one.
    """
    recorded = _recorded(installation)
    if recorded and _emulator_pid(installation) is not None and recorded[1] != installation.port:
        raise UserError(
            f"the platform of {installation.folder} runs on port {recorded[1]}: "
            f"set LOCAL_PORT_BASE={recorded[1]}, or stop it with `make down` first"
        )
    if port_is_free(installation.port):
        return
    owner = _owner(installation)
    if owner is None:
        raise UserError(
            f"port {installation.port} is in use by another program: "
            "choose another one with LOCAL_PORT_BASE"
        )
    if owner != installation.folder:
        raise UserError(
            f"port {installation.port} belongs to the platform of {owner}: "
            "choose another one with LOCAL_PORT_BASE, or stop that platform first"
        )


def _owner(installation: Installation) -> Path | None:
    """The folder whose emulator answers on the port, None if no emulator of this user does.

    What another user's program answers would be printed as commands to run.
    """
    if kernel_knows_users() and not is_own_server((HOST, installation.port)):
        return None
    try:
        with _DIRECT.open(f"{installation.url}{IDENTITY_PATH}", timeout=_ANSWER_SECONDS) as answer:
            return Path(json.load(answer)["folder"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None


def _functions_run(installation: Installation) -> bool:
    """Whether processes of functions, whose code is in the emulator's folder, are still there."""
    return any(f"{installation.state}/" in command for command in command_lines())


def _database_servers(installation: Installation) -> list[MySQLServer]:
    # The port matters for starting a server only.
    return [MySQLServer(folder, 0) for folder in sorted(installation.databases.glob("*/*"))]


def _make(target: str, installation: Installation) -> None:
    log = _log_file(installation, target)
    with log.open("wb") as output:
        process = subprocess.Popen(
            # The environment's own service, not a preview.
            ["make", "--no-print-directory", "-C", str(ROOT), target, "SERVICE_STAGE="],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _show_progress(target, process, log)
    if process.returncode != 0:
        reasons = [line for line in _lines(log) if line.startswith("error: ")]
        if not reasons:
            print("\n".join(_lines(log)[-_LOG_TAIL_LINES:]), file=sys.stderr)
        reason = reasons[-1].removeprefix("error: ") if reasons else "see above"
        raise UserError(f"make {target} failed: {reason} (whole log: {log})")


def _show_progress(name: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a process, and show the time and the last line of its log meanwhile.

    On a terminal they are redrawn in place; elsewhere each heartbeat is a line.
    """
    started = time.monotonic()
    heartbeat = started + _HEARTBEAT_SECONDS
    while True:
        try:
            process.wait(timeout=_PROGRESS_SECONDS)
            break
        except subprocess.TimeoutExpired:
            last = _last_step(_lines(log))
            told = f"{time.monotonic() - started:6.0f} s  "
            if sys.stdout.isatty():
                text = f"  {name:<24}{told}"
                width = shutil.get_terminal_size().columns - len(text) - 1
                print(f"\r{_CLEAR_LINE}{text}{fit(last, width)}", end="", flush=True)
            elif time.monotonic() >= heartbeat:
                heartbeat += _HEARTBEAT_SECONDS
                print(f"{told}{last}\n  {name:<24}", end="", flush=True)
    if sys.stdout.isatty():
        print(f"\r{_CLEAR_LINE}  {name:<24}", end="", flush=True)


def _last_step(lines: Sequence[str]) -> str:
    """The last line that says something on its own: no ruled line, and no end of a wrapped cell."""
    said = (line for line in reversed(lines) if line[:1].isalnum() or line.startswith("==>"))
    return " ".join(next(said, "").split())


@contextmanager
def _alone(installation: Installation) -> Iterator[None]:
    """Keep a second `make up` of the same folder out.

    Raises:
        UserError: one is running.
    """
    installation.make_folder()
    with (installation.folder / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another `make up` is running for {installation.folder}: wait until it has ended"
            ) from None
        yield


def _log_file(installation: Installation, name: str) -> Path:
    installation.make_folder()
    folder = installation.folder / "logs"
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.log"


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()


def _wait(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise UserError(f"waited {_TIMEOUT_SECONDS} s for {what}")
        time.sleep(_POLL_SECONDS)


@contextmanager
def _step(name: str) -> Iterator[None]:
    started = time.monotonic()
    print(f"  {name:<24}", end="", flush=True)
    try:
        yield
    except BaseException:
        print("failed")
        raise
    print(f"{time.monotonic() - started:6.1f} s", flush=True)


_COMMANDS: Mapping[str, Callable[[], None]] = {
    "up": up,
    "down": down,
    "status": status,
    "env": env,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command.

    Raises:
        UserError: it failed; the text says what to do.
    """
    parser = argparse.ArgumentParser(prog="python -m local.platform", description=__doc__)
    parser.add_argument("command", choices=list(_COMMANDS))
    os.environ.update(_past_proxies(os.environ))
    try:
        _COMMANDS[parser.parse_args(arguments).command]()
    except MySQLError as error:
        raise UserError(str(error)) from None


if __name__ == "__main__":
    sys.exit(exit_code(main))
