"""The whole platform, brought up as a newcomer does: with `make up`."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from certify.recording import Call, Work, recorded
from certify.recordings import judged
from infra.config.place import Place
from infra.policies.service_deployer import SERVICE_DEPLOYER, SERVICE_DEPLOYER_ACCESS
from local.emulator.installation import Installation
from local.platform import aws_variables, trade_url
from local.processes import command_lines
from service.deploy.build import built_template
from tests.support.ports import free_port_base

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
ACCOUNT = "000000000000"


@dataclass(frozen=True)
class Platform:
    """A running platform; `env` sends the standard tools to it."""

    settings: Installation
    environment: str
    env: dict[str, str]

    @property
    def endpoint_url(self) -> str:
        return self.settings.url

    @property
    def code(self) -> Path:
        """The handler in what was last built for the platform."""
        return built_template(self.env).parent / "TradeFunction" / "trading" / "api.py"

    @property
    def trade_url(self) -> str:
        return trade_url(self.settings, REGION, self.environment)

    def make(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `make` against the platform. A failure shows its output."""
        finished = subprocess.run(
            ["make", *arguments],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and finished.returncode != 0:
            pytest.fail(f"make {' '.join(arguments)}:\n{finished.stdout}")
        return finished

    def client(self, service: str) -> object:
        """A boto3 client of the emulated AWS."""
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
        )


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform") / "local"
    settings = Installation(folder, free_port_base())
    variables = {
        **os.environ,
        "ENVIRONMENT_SUFFIX": "test",
        "LOCAL_DIR": str(folder),
        "LOCAL_PORT_BASE": str(settings.port),
        "LOCAL_ENFORCE_IAM": "1",
        "LOCAL_RECORD_CALLS": "1",
    }
    platform = Platform(settings, "test", aws_variables(settings, variables))
    try:
        platform.make("up")
        yield platform
        check_calls(settings)
    finally:
        # Also after a failed `up`: its processes are still running.
        platform.make("down", "PURGE=1")
    assert not folder.exists()
    assert not processes_naming(folder)


def check_calls(settings: Installation) -> None:
    """Judge everything that the tests had AWS do, by the judges of the certificate."""
    # Tests try what is denied, or is nobody's way to work.
    done = [
        record
        for record in recorded(settings.recorded_calls)
        if not isinstance(record, Call) or record.succeeded
    ]
    assert {type(record) for record in done} == {Call, Work}
    found = judged(done)
    assert [reason for findings in found for reason in findings.refused] == []


def as_user(
    platform: Platform, name: str, arns: Sequence[str] = (), documents: Sequence[str] = ()
) -> Platform:
    """The platform as a new IAM user sees it, who has these policies."""
    iam: Any = platform.client("iam")
    iam.create_user(UserName=name)
    for arn in arns:
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    for number, document in enumerate(documents):
        iam.put_user_policy(UserName=name, PolicyName=f"own-{number}", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return replace(
        platform,
        env={
            **platform.env,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        },
    )


@pytest.fixture(scope="module")
def app_team(platform: Platform, request: pytest.FixtureRequest) -> Iterator[Platform]:
    """The platform as the app team sees it, with the service deployer's policies only."""
    place = Place(ACCOUNT, REGION, platform.environment)
    arns = [
        place.iam(f"policy/{place.name('policy', role)}")
        for role in (SERVICE_DEPLOYER, SERVICE_DEPLOYER_ACCESS)
    ]
    name = f"app-team-of-{request.module.__name__.rpartition('.')[2]}"
    yield as_user(platform, name, arns=arns)
    iam: Any = platform.client("iam")
    for arn in arns:
        iam.detach_user_policy(UserName=name, PolicyArn=arn)


def processes_naming(folder: Path) -> list[str]:
    """The command lines of running processes that name a folder."""
    return [command for command in command_lines() if str(folder) in command]
