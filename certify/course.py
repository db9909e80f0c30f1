"""Runs everything that people and pipelines do with the platform, for its calls to be recorded.

A platform of its own, with IAM enforced, is started for that. Each command runs with the role that
a pipeline has for it, which it assumes by a token like those that GitHub issues.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from certify.documents import PROFILES, REGIONS
from infra.config.environment import load_environment
from infra.config.naming import pipeline_role_name
from infra.policies.infra_deployer import INFRA_DEPLOYER
from infra.policies.planner import PLANNER
from infra.policies.service_deployer import SERVICE_DEPLOYER
from infra.stacks.pipelines import AUDIENCE, ISSUER, PREVIEWER, pipeline_roles
from local.emulator.installation import Installation, port_is_free
from local.platform import aws_variables, enter_environment, start_emulator, trade_url
from shared.cli.errors import UserError

_ROOT = Path(__file__).resolve().parent.parent
_REPOSITORY = "example/trading"
_ACCOUNT = "000000000000"
_PORTS = range(15560, 30000, 100)
_STAGE = "pr-7"
# Without a signature, like `make up`.
_CHANGE = "ApiAuthorization=NONE Tracing=Active"
_TAIL_LINES = 25


@dataclass(frozen=True)
class Course:
    """The commands for one environment, of which the profile is given by its settings."""

    installation: Installation
    name: str
    folder: Path

    def run(self) -> None:
        """Deploy, release, roll back, look, and destroy again."""
        # On GitHub, these environments are for one branch alone.
        settings = self.folder / "settings.toml"
        settings.write_text(
            f"[environments.{self.name}-infra]\n[environments.{self.name}-service]\n"
        )
        self._make("owner", "bootstrap-state")
        self._make("owner", "bootstrap-pipelines", GITHUB_SETTINGS=str(settings))
        self._make(INFRA_DEPLOYER, "deploy-infra", "plan")
        self._make(SERVICE_DEPLOYER, "deploy-service")
        self._trade()
        if self.name == "dev":
            # CloudFormation publishes a version for a value that changes.
            self._make(SERVICE_DEPLOYER, "deploy-service", SERVICE_PARAMETERS=_CHANGE)
            self._make(SERVICE_DEPLOYER, "rollback-service", "releases", "invoke", "logs")
            self._make(PREVIEWER, "deploy-service", "previews", SERVICE_STAGE=_STAGE)
            self._trade(_STAGE)
            self._make(PREVIEWER, "destroy-service", SERVICE_STAGE=_STAGE)
        self._make(PLANNER, "plan-comment", "drift", GITHUB_STEP_SUMMARY="")
        self._make(SERVICE_DEPLOYER, "destroy-service")
        self._destroy()

    def _destroy(self) -> None:
        """Destroy the data platform; what is guarded takes a reviewed plan that lifts the guard."""
        environment = load_environment(self._variables())
        if environment.settings.protection.prevent_destroy:
            self._settings(f"{PROFILES[self.name]}\n[protection]\nprevent_destroy = false\n")
            plans = str(self.folder / "plans")
            self._make(INFRA_DEPLOYER, "plan", OUT=plans)
            self._make(INFRA_DEPLOYER, "deploy-infra", PLAN=plans)
        self._make(INFRA_DEPLOYER, "destroy-infra")

    def _trade(self, stage: str = "") -> None:
        """Book a trade where the writer is, and read the trades everywhere."""
        for number, region in enumerate(REGIONS[self.name].split(",")):
            url = trade_url(self.installation, region, self.name, stage)
            requests = [[f"{url}s"]]
            if number == 0:
                requests.append(["-X", "POST", url, "-d", '{"symbol":"AAPL","quantity":1}'])
            with _step(f"{self.name} trade {region}"):
                for request in requests:
                    subprocess.run(
                        ["curl", "-fsS", *request], check=True, stdout=subprocess.DEVNULL
                    )

    def _make(self, role: str, *targets: str, **more: str) -> None:
        for target in targets:
            with _step(f"{self.name} {role} {target}"):
                finished = subprocess.run(
                    ["make", "--no-print-directory", target],
                    cwd=_ROOT,
                    env={**self._variables(), **self._credentials(role), **more},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
            if finished.returncode:
                tail = "\n".join(finished.stdout.splitlines()[-_TAIL_LINES:])
                raise UserError(f"make {target} as {role} failed:\n{tail}")

    def _settings(self, text: str) -> Path:
        file = self.folder / "environment.toml"
        file.write_text(text)
        return file

    def _variables(self) -> dict[str, str]:
        file = self.folder / "environment.toml"
        if not file.exists():
            self._settings(PROFILES[self.name])
        variables = {
            **os.environ,
            "ENVIRONMENT_FILE": str(file),
            "ENVIRONMENT_SUFFIX": self.name,
            "GITHUB_REPOSITORY": _REPOSITORY,
            "REGIONS": REGIONS[self.name],
        }
        return {
            **aws_variables(self.installation, variables),
            "STATE": "s3",
            "CDKTF_OUTDIR": str(self.folder / "cdktf.out"),
        }

    def _credentials(self, role: str) -> Mapping[str, str]:
        """The variables of a session of one of the environment's roles, or of the account."""
        if role == "owner":
            return {}
        environment = load_environment(self._variables())
        subject = pipeline_roles(environment)[role].subjects[0]
        claims = {"iss": f"https://{ISSUER}", "aud": AUDIENCE}
        claims["sub"] = f"repo:{_REPOSITORY}:{subject}"
        sts: Any = boto3.client(
            "sts",
            region_name="us-east-1",
            endpoint_url=self.installation.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - opens nothing but the emulator
        )
        name = pipeline_role_name(self.name, role)
        session = sts.assume_role_with_web_identity(
            RoleArn=f"arn:aws:iam::{_ACCOUNT}:role/pipelines/{name}",
            RoleSessionName=role,
            WebIdentityToken=".".join(_encoded(part) for part in ({"alg": "none"}, claims, {})),
        )["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }


def record(profiles: Iterable[str], to: Path) -> None:
    """Run the course of each profile on a platform of its own, and write its calls to a file.

    Raises:
        UserError: a command failed, as when IAM denies a call.
    """
    with tempfile.TemporaryDirectory(prefix="certify-") as folder, _platform(Path(folder)) as found:
        try:
            for name in profiles:
                own = Path(folder) / name
                own.mkdir()
                Course(found, name, own).run()
        finally:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(found.recorded_calls.read_bytes())


@contextmanager
def _platform(folder: Path) -> Iterator[Installation]:
    """An emulator that enforces IAM and records calls, until the block ends."""
    base = next(port for port in _PORTS if port_is_free(port))
    installation = Installation(folder / "local", base)
    variables = {
        **os.environ,
        "LOCAL_DIR": str(installation.folder),
        "LOCAL_PORT_BASE": str(base),
        "LOCAL_ENFORCE_IAM": "1",
        "LOCAL_RECORD_CALLS": "1",
    }
    enter_environment(variables)
    with _step("start the emulator"):
        start_emulator(installation)
    try:
        yield installation
    finally:
        subprocess.run(
            [sys.executable, "-m", "local.platform", "down"],
            cwd=_ROOT,
            env={**variables, "PURGE": "0"},
            stdout=subprocess.DEVNULL,
            check=True,
        )


@contextmanager
def _step(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"  {what:<56}{time.monotonic() - started:6.1f} s", flush=True)


def _encoded(part: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
