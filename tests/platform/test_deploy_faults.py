"""Deploys that are killed, that run in parallel, and that AWS throttles or fails.

Each ends in a known state, and the next run completes. tests/infra/test_state.py covers Terraform's
locks, tests/service/test_migration.py a killed migration.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import pymysql
import pytest
import requests

from service.deploy.stack_status import check_releasable, stack_status
from shared.cli.errors import UserError
from shared.naming import service_stack_name
from tests.platform.conftest import REGION, ROOT, Platform
from tests.platform.test_local_platform import book, published
from tests.support.ports import free_port

MICROBURST = ROOT / ".venv-emulator" / "bin" / "microburst"


@pytest.fixture(autouse=True)
def in_process(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send calls from this process to the platform, too."""
    for name, value in platform.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture(scope="module", autouse=True)
def as_it_was(platform: Platform) -> Iterator[None]:
    """Restore the values that `make up` deployed; other tests expect them."""
    yield
    last = release(platform)
    said(last)
    assert last.returncode == 0


@pytest.fixture
def stack(platform: Platform) -> str:
    return service_stack_name(REGION, platform.environment)


def release(platform: Platform, **parameters: object) -> subprocess.Popen[str]:
    """Start a release of the build, with template parameters, in its own process group."""
    given = [platform.env["SERVICE_PARAMETERS"], *(f"{n}={v}" for n, v in parameters.items())]
    return subprocess.Popen(
        [sys.executable, "-m", "service.deploy.commands", "deploy"],
        cwd=ROOT,
        env={**platform.env, "SERVICE_PARAMETERS": " ".join(given)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=120)
    assert "Traceback" not in output
    return output


def kill(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def wait_until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited a minute for {what}"
        time.sleep(0.1)


@contextmanager
def migration_held_up(platform: Platform) -> Iterator[None]:
    """Make a deploy's migration wait, as for a slow change of a large table."""
    values = published(platform)
    secrets: Any = platform.client("secretsmanager")
    answer = secrets.get_secret_value(SecretId=values["DatabaseMasterSecretArn"])
    master = json.loads(answer["SecretString"])
    connection = pymysql.connect(
        host=values["DatabaseWriterEndpoint"],
        port=int(values["DatabasePort"]),
        user=master["username"],
        password=master["password"],
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 0)", (f"{values['DatabaseName']}.migrations",))
        assert cursor.fetchone() == (1,)
        yield


def log_retention(platform: Platform, stack: str) -> int:
    """A deployed value, in days."""
    logs: Any = platform.client("logs")
    (group,) = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{stack}/trade")[
        "logGroups"
    ]
    return int(group["retentionInDays"])


def another_retention(platform: Platform, stack: str) -> int:
    """Another value than the deployed one."""
    return 14 if log_retention(platform, stack) == 60 else 60


def test_a_second_release_is_refused_and_cloudformation_ends_a_killed_one(
    platform: Platform, stack: str
) -> None:
    days = another_retention(platform, stack)
    with migration_held_up(platform):
        first = release(platform, LogRetentionDays=days)
        wait_until(lambda: stack_status(stack, REGION) == "UPDATE_IN_PROGRESS", "the update")
        second = release(platform, LogRetentionDays=90)
        refusal = said(second)
        assert second.returncode == 1
        assert f"error: {stack} is UPDATE_IN_PROGRESS: another release is under way" in refusal
        kill(first)
        assert book(platform)["status"] == "SUCCESS"
    wait_until(lambda: stack_status(stack, REGION) == "UPDATE_COMPLETE", "the end of the update")
    assert log_retention(platform, stack) == days
    rerun = release(platform, LogRetentionDays=days)
    assert "No changes to deploy" in said(rerun)
    assert rerun.returncode == 0


def test_a_release_that_is_killed_while_it_uploads_is_completed_by_the_next(
    platform: Platform, stack: str
) -> None:
    s3: Any = platform.client("s3")
    bucket = published(platform)["ArtifactBucketName"]

    def artifacts() -> set[str]:
        found = s3.list_objects_v2(Bucket=bucket, Prefix=f"{stack}/").get("Contents", [])
        # Earlier releases are kept for rollbacks.
        return {entry["Key"] for entry in found if "/releases/" not in entry["Key"]}

    days = another_retention(platform, stack)
    for key in artifacts():
        s3.delete_object(Bucket=bucket, Key=key)
    killed = release(platform, LogRetentionDays=days)
    wait_until(artifacts, "an upload")
    kill(killed)
    wait_until(lambda: not str(stack_status(stack, REGION)).endswith("_IN_PROGRESS"), "its end")
    rerun = release(platform, LogRetentionDays=days)
    said(rerun)
    assert rerun.returncode == 0
    assert log_retention(platform, stack) == days
    formation: Any = platform.client("cloudformation")
    template = json.dumps(formation.get_template(StackName=stack)["TemplateBody"])
    used = set(re.findall(rf"{stack}/[0-9a-f]{{32}}", template))
    assert len(used) > 3
    assert used <= artifacts()
    assert book(platform)["status"] == "SUCCESS"


def test_a_first_release_that_failed_says_what_to_do(platform: Platform) -> None:
    formation: Any = platform.client("cloudformation")
    name = service_stack_name(REGION, "failed")
    nowhere = f"arn:aws:lambda:{REGION}:000000000000:function:nowhere"
    broken = {"Type": "Custom::Migration", "Properties": {"ServiceToken": nowhere}}
    formation.create_stack(
        StackName=name, TemplateBody=json.dumps({"Resources": {"Broken": broken}})
    )
    wait_until(lambda: stack_status(name, REGION) == "ROLLBACK_COMPLETE", "the rollback")
    with pytest.raises(UserError, match=r"is ROLLBACK_COMPLETE.*: run `make destroy-service "):
        check_releasable(name, REGION)
    formation.delete_stack(StackName=name)
    wait_until(lambda: stack_status(name, REGION) is None, "its deletion")
    check_releasable(name, REGION)


class FailingAws:
    """The emulator behind a proxy that injects faults.

    Throttling and errors have the form of each service's protocol, so SDKs recognize them.
    """

    def __init__(self, platform: Platform) -> None:
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [MICROBURST, "--upstream", platform.endpoint_url, "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # The platform retries little, because the emulator lacks some APIs.
        variables = {"AWS_ENDPOINT_URL": self._url, "AWS_MAX_ATTEMPTS": "10"}
        self.platform = replace(platform, env={**platform.env, **variables})

    def __enter__(self) -> FailingAws:
        wait_until(self._answers, "the proxy")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def rules(self, *rules: dict[str, Any]) -> None:
        """Inject these faults, and no others, from now on."""
        requests.post(f"{self._url}/_microburst/rules", json=rules, timeout=30).raise_for_status()

    def fired(self) -> list[str]:
        """The injected faults."""
        answer = requests.get(f"{self._url}/_microburst/fired?limit=1000", timeout=30)
        return [event["action"] for event in answer.json()]

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self._url}/_microburst/health", timeout=1).ok
        except requests.ConnectionError:
            return False


@pytest.fixture
def aws(platform: Platform) -> Iterator[FailingAws]:
    with FailingAws(platform) as failing:
        yield failing


def sometimes(code: str, status: int, probability: float, *services: str) -> list[dict[str, Any]]:
    """A fault in this share of each service's calls."""
    error = {"code": code, "status": status}
    return [{"service": s, "probability": probability, "error": error} for s in services]


SOMETIMES = (
    # CloudWatch is left out: the proxy answers it in a protocol that Terraform does not speak.
    *sometimes("ThrottlingException", 400, 0.1, "cloudformation", "ec2", "iam", "kms", "lambda"),
    *sometimes("ThrottlingException", 400, 0.1, "logs", "rds", "secretsmanager", "sns", "ssm"),
    *sometimes("SlowDown", 503, 0.1, "s3"),
    *sometimes("InternalFailure", 500, 0.05, "*"),
    *sometimes("ServiceUnavailable", 503, 0.05, "*"),
)


def test_a_release_fails_if_aws_keeps_failing_and_the_next_one_completes_despite_throttling(
    aws: FailingAws, stack: str
) -> None:
    days = another_retention(aws.platform, stack)
    aws.rules(
        {
            "service": "cloudformation",
            "operation": "CreateChangeSet",
            "error": {"code": "ServiceUnavailable", "status": 503},
        }
    )
    variables = {**aws.platform.env, "AWS_MAX_ATTEMPTS": "2"}
    failed = release(replace(aws.platform, env=variables), LogRetentionDays=days)
    assert f"error: {stack}: sam deploy failed" in said(failed)
    assert failed.returncode == 1

    aws.rules(*SOMETIMES)
    rerun = release(aws.platform, LogRetentionDays=days)
    output = said(rerun)
    assert rerun.returncode == 0, output
    assert "Successfully created/updated stack" in output
    assert log_retention(aws.platform, stack) == days
    assert aws.fired()


def test_terraform_completes_despite_throttling_and_errors(aws: FailingAws) -> None:
    aws.rules(*SOMETIMES)
    assert "No changes. Your infrastructure" in aws.platform.make("plan").stdout
    assert len(set(aws.fired())) == 4
