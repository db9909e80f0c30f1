"""Runs the Terraform program."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.terraform.messages import explained
from shared.cli.errors import UserError
from shared.cli.in_regions import LOGS, RegionRun
from shared.cli.stamp import Stamp, digest

COMMANDS: Mapping[str, Sequence[str]] = {
    "init": (),
    "validate": (),
    "plan": ("-input=false",),
    "apply": ("-input=false", "-auto-approve"),
    "destroy": ("-input=false", "-auto-approve"),
    "output": (),
    "import": ("-input=false",),
}

_REGISTRY = "registry.terraform.io"

_NO_PROVIDER = "Failed to query available provider packages"
_OTHER_PROVIDER = "doesn't match any of the checksums"

# The version and the hashes of the provider that every stack takes.
PROVIDER_LOCK = Path(__file__).with_name("providers.lock.hcl")

# The file of a stack's folder that CDKTF writes.
CONFIGURATION = "cdk.tf.json"

_STAMP = "initialized.sha256"

_LOCK = ".terraform.lock.hcl"

# What `terraform plan -detailed-exitcode` ends with if there is something to change.
_DETAILED = "-detailed-exitcode"

_CHANGES = 2

# Most commands read the provider's schema and end: garbage collection took a fifth of their CPU.
# https://go.dev/doc/gc-guide#Memory_limit
_LITTLE_GC = {"GOGC": "off", "GOMEMLIMIT": "512MiB"}


@dataclass(frozen=True)
class Terraform:
    """The Terraform program, and the environment variables that it gets."""

    program: str
    variables: Mapping[str, str]

    def init(self, folder: Path, *arguments: str, quiet: bool = True) -> None:
        """Prepare a stack's folder; `quiet` shows Terraform's output only if it fails.

        This takes seconds, because Terraform hashes the provider. A folder that the same call has
        prepared is left as it is, unless the output is wanted.

        Raises:
            UserError: Terraform failed; it has said why.
        """
        stamp = self._stamp(folder, arguments)
        if quiet and stamp.current():
            return
        if "required_providers" in read_configuration(folder)["terraform"]:
            shutil.copyfile(PROVIDER_LOCK, folder / _LOCK)
        # The configuration alone decides which state belongs to a stack, not the last use of the
        # folder.
        fixed = ("-input=false", "-reconfigure", "-lockfile=readonly")
        command = ["init", *fixed, *_plain(), *arguments]
        output = (subprocess.PIPE, subprocess.STDOUT) if quiet else (None, None)
        finished = self._run(folder, command, *output)
        if quiet and finished.returncode != 0:
            print(finished.stdout, file=sys.stderr)
            said = " ".join(finished.stdout.split())
            if _OTHER_PROVIDER in said:
                raise UserError(
                    f"the AWS provider is not the one that infra/terraform/{PROVIDER_LOCK.name} "
                    "names: find out where it comes from, and do not use it"
                )
            if _NO_PROVIDER in said:
                raise UserError(
                    "Terraform could not get the AWS provider that "
                    f"infra/terraform/{PROVIDER_LOCK.name} names: let this machine reach the "
                    "Terraform registry, or name an unpacked mirror that has it in TF_PLUGIN_MIRROR"
                )
        _check(finished, folder, "init")
        stamp.write()

    def run(self, folder: Path, command: str, *arguments: str) -> None:
        """Run a command in a folder that is initialized.

        Raises:
            UserError: Terraform failed; it has said why.
        """
        plain = () if command == "state" else _plain()
        finished = self._shown(folder, [command, *COMMANDS.get(command, ()), *plain, *arguments])
        _check(finished, folder, command)

    def plan(self, folder: Path, file: Path, *arguments: str) -> bool:
        """Write a plan to `file`; whether it has anything to change.

        Raises:
            UserError: Terraform failed; it has said why.
        """
        command = ["plan", *COMMANDS["plan"], _DETAILED, f"-out={file}", *_plain(), *arguments]
        finished = self._shown(folder, command)
        # If the caller asked for -detailed-exitcode, exit code 2 is passed on as a failure.
        if finished.returncode == _CHANGES and _DETAILED not in arguments:
            return True
        _check(finished, folder, "plan")
        return False

    def in_region(self, region: str, folder: Path, command: str, *arguments: str) -> RegionRun:
        """A command in an initialized folder, to run in parallel with other regions' commands."""
        own = self._command(folder, [command, *COMMANDS[command], "-no-color", *arguments])
        return RegionRun(region, own, self.variables, LOGS / f"{folder.name}-{command}.log")

    def outputs(self, folder: Path) -> dict[str, str]:
        """The outputs of the stack in a folder that is initialized; none before its first apply.

        Raises:
            UserError: Terraform failed; it has said why.
        """
        finished = self._run(folder, ["output", "-json"], stdout=subprocess.PIPE)
        _check(finished, folder, "output")
        return {name: output["value"] for name, output in json.loads(finished.stdout).items()}

    def read(self, folder: Path, command: str, *arguments: str) -> str:
        """What a command prints in a folder that is initialized, without colours.

        Raises:
            UserError: Terraform failed; it has said why.
        """
        finished = self._run(
            folder, [command, *COMMANDS.get(command, ()), *arguments], stdout=subprocess.PIPE
        )
        _check(finished, folder, command)
        return finished.stdout

    def state_is_empty(self, folder: Path) -> bool:
        """Whether the state of an initialized folder has no resource, or there is no state yet.

        Raises:
            UserError: Terraform failed; it has said why.
        """
        state = self.read(folder, "state", "pull")
        return not (state.strip() and json.loads(state).get("resources"))

    def _stamp(self, folder: Path, arguments: Sequence[str]) -> Stamp:
        # Only these parts of the configuration decide what is prepared.
        document = read_configuration(folder)
        configuration = [document.get(key) for key in ("terraform", "provider", "module")]
        # The configuration file for a mirror is temporary and has another name each time.
        variables = sorted(
            (name, value)
            for name, value in self.variables.items()
            if name.startswith("TF_") and name != "TF_CLI_CONFIG_FILE"
        )
        data = folder / ".terraform"

        def outputs() -> str:
            # The backend that the folder leads to, and the provider.
            files = (data / "terraform.tfstate", folder / _LOCK)
            found = digest(folder, (file for file in files if file.exists()))
            providers = sorted(data.glob("providers/*/*/*/*/*"))
            return repr((found, [str(path.resolve()) for path in providers if path.exists()]))

        inputs = (self.program, arguments, configuration, variables, PROVIDER_LOCK.read_text())
        return Stamp(folder / _STAMP, repr(inputs), outputs)

    def _run(
        self,
        folder: Path,
        command: Sequence[str],
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        with self._started(folder, command, stdout, stderr) as process:
            output, errors = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def _shown(self, folder: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command that shows all it prints; its errors are kept as well."""
        with self._started(folder, command, stderr=subprocess.PIPE) as process:
            assert process.stderr  # noqa: S101
            errors = []
            for line in process.stderr:
                errors.append(line)
                print(line, end="", file=sys.stderr, flush=True)
        return subprocess.CompletedProcess(process.args, process.returncode, None, "".join(errors))

    @contextmanager
    def _started(
        self,
        folder: Path,
        command: Sequence[str],
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> Iterator[subprocess.Popen[str]]:
        # Ctrl-C reaches Terraform as well, which then stops in order: wait for it.
        former = signal.signal(signal.SIGINT, lambda _number, _frame: None)
        try:
            with subprocess.Popen(
                self._command(folder, command),
                env=dict(self.variables),
                stdout=stdout,
                stderr=stderr,
                text=True,
                # Plans, states, and the state that could not be uploaded: for nobody else.
                umask=0o077,
            ) as process:
                yield process
        finally:
            signal.signal(signal.SIGINT, former)

    def _command(self, folder: Path, command: Sequence[str]) -> list[str]:
        return [self.program, f"-chdir={folder}", *command]


def read_configuration(folder: Path) -> dict[str, Any]:
    """The synthesized configuration of a stack's folder."""
    document: dict[str, Any] = json.loads((folder / CONFIGURATION).read_text())
    return document


def _plain() -> list[str]:
    return [] if sys.stdout.isatty() else ["-no-color"]


def _check(finished: subprocess.CompletedProcess[str], folder: Path, command: str) -> None:
    if finished.returncode != 0:
        # The preparation may be the cause: repeat it the next time.
        (folder / _STAMP).unlink(missing_ok=True)
        raise UserError(
            explained(f"{finished.stdout or ''}{finished.stderr or ''}", folder.name)
            or f"terraform {command} failed for {folder.name}; its output above says why"
        )


@contextmanager
def installed_terraform(variables: Mapping[str, str]) -> Iterator[Terraform]:
    """The Terraform on PATH.

    Raises:
        UserError: there is none.
    """
    program = shutil.which("terraform")
    if program is None:
        raise UserError("terraform is not on PATH: run `make setup`")
    with cli_config(variables) as complete:
        yield Terraform(program, complete)


@contextmanager
def cli_config(variables: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Environment variables for Terraform, which use a mirror of the providers if there is one.

    The user's own configuration file is left alone. The file for a mirror is temporary.

    Raises:
        UserError: `TF_PLUGIN_MIRROR` names a folder that is not a mirror.
    """
    environment = {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", **_LITTLE_GC, **variables}
    own_config = environment.get("TF_CLI_CONFIG_FILE")
    if own_config and os.path.isfile(own_config) and os.access(own_config, os.R_OK):
        yield environment
        return
    # Terraform warns about a named configuration file that it cannot read.
    environment.pop("TF_CLI_CONFIG_FILE", None)
    mirror = find_mirror(environment.get("TF_PLUGIN_MIRROR"))
    if mirror is None:
        yield environment
        return
    with tempfile.NamedTemporaryFile("w", suffix=".tfrc") as config:
        config.write(
            "provider_installation {\n"
            f'  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n'
            f'  direct {{\n    exclude = ["{_REGISTRY}/hashicorp/aws"]\n  }}\n'
            "}\n"
        )
        config.flush()
        yield {**environment, "TF_CLI_CONFIG_FILE": config.name}


def find_mirror(named: str | None, root: Path = Path("/")) -> Path | None:
    """The folder of an unpacked filesystem mirror of Terraform providers, or None.

    `named` is `TF_PLUGIN_MIRROR`; without it, a folder `registry.terraform.io` is looked for up to
    two levels below `root`, such as in `/opt/terraform`, but for folders of other users.

    Raises:
        UserError: the named folder is not a mirror.
    """
    if named:
        if not (Path(named) / _REGISTRY).is_dir():
            raise UserError(f"TF_PLUGIN_MIRROR {named}: there is no folder {_REGISTRY} in it")
        return Path(named).resolve()
    found = (path for depth in ("*", "*/*") for path in root.glob(f"{depth}/{_REGISTRY}"))
    return min((path.parent for path in found if _is_kept(path)), default=None)


def _is_kept(folder: Path) -> bool:
    """Whether no other user can replace what is in a folder.

    Terraform compares a provider with its lock file once, and starts it from the mirror later.
    Anybody can make a folder in /tmp.
    https://developer.hashicorp.com/terraform/cli/config/config-file#provider-installation
    """
    paths = (folder, folder.parent)
    owners = {path.lstat().st_uid for path in paths}
    # With the sticky bit, as in /tmp, nobody can move what is another user's.
    shared = any(
        path.stat().st_mode & (stat.S_ISVTX | stat.S_IWOTH) == stat.S_IWOTH for path in paths
    )
    return owners <= {0, os.getuid()} and not shared
