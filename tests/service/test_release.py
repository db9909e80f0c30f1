"""What a release asks AWS before and after SAM; tests/platform runs whole releases."""

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from samcli.yamlhelper import yaml_dump, yaml_parse

from service.deploy import release as release_module
from service.deploy.build import TEMPLATE
from service.deploy.history import Origin, Release
from service.deploy.kept_packages import Package
from service.deploy.parameters import release_parameters
from service.deploy.platform import Platform
from service.deploy.release import Candidate, kept_candidate, release
from service.deploy.sam import check_config
from service.deploy.schema import Schema
from service.deploy.target import Copy
from shared.cli.errors import UserError

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
CLOUDFORMATION_TAKES_BYTES = 51_200
ROOM_BYTES = 5_000

COPY = Copy("us-east-1", "qa")
PLATFORM = Platform(
    "1.2.0",
    {"ArtifactBucketName": "code", "DatabaseConnectionBudget": "54", "KmsKeyArn": "key"},
    {},
)


def candidate(**parameters: str) -> Candidate:
    """A release whose code is in the bucket already."""
    chosen = release_parameters(parameters, COPY.environment, "", production=False)
    schema = Schema((), ())
    return Candidate(COPY, TEMPLATE, "build", "commit", chosen, PLATFORM, schema, 1, {})


@dataclass
class Cloud:
    """AWS's answers, and the calls of SAM."""

    cloudformation: Stubber
    lambda_: Stubber
    calls: Path

    def has_no_stack(self) -> None:
        self.cloudformation.add_client_error(
            "describe_stacks", "ValidationError", f"Stack with id {COPY.stack} does not exist"
        )

    def has_stack(self) -> None:
        stack = {
            "StackName": COPY.stack,
            "StackStatus": "UPDATE_COMPLETE",
            "CreationTime": 0,
            "Parameters": [{"ParameterKey": "ReleaseDigest", "ParameterValue": "old"}],
        }
        self.cloudformation.add_response("describe_stacks", {"Stacks": [stack]})

    def fails_the_smoke_check(self) -> None:
        said = json.dumps({"passed": False, "problems": {"ready.json": "503"}}).encode()
        self.lambda_.add_response(
            "invoke",
            {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(said), len(said))},
            {"FunctionName": "CodeDeployHook_trade_qa", "Payload": b"{}"},
        )

    def deploys(self) -> list[str]:
        """The arguments of each `sam deploy`."""
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Cloud]:
    clients: dict[str, Any] = {
        service: boto3.client(
            service,
            region_name=COPY.region,
            aws_access_key_id="-",
            aws_secret_access_key="-",
        )
        for service in ("cloudformation", "lambda")
    }
    monkeypatch.setattr(boto3, "client", lambda service, **_: clients[service])
    sam = tmp_path / "sam"
    sam.write_text(f'#!/bin/sh\necho "$*" >>"{tmp_path}/calls"\n')
    sam.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with (
        Stubber(clients["cloudformation"]) as cloudformation,
        Stubber(clients["lambda"]) as lambda_,
    ):
        yield Cloud(cloudformation, lambda_, tmp_path / "calls")


def test_the_first_release_is_checked_although_codedeploy_does_not_check_it(cloud: Cloud) -> None:
    cloud.has_no_stack()
    cloud.fails_the_smoke_check()
    with pytest.raises(UserError, match=r"does not pass its smoke check: .*503"):
        release(candidate())
    assert len(cloud.deploys()) == 1


def test_a_release_without_codedeploy_is_checked(cloud: Cloud) -> None:
    cloud.has_stack()
    cloud.fails_the_smoke_check()
    with pytest.raises(UserError, match="does not pass its smoke check"):
        release(candidate(DeploymentPreferenceType="Disabled"))


def test_the_template_is_not_taken_from_the_bucket_where_others_may_write(cloud: Cloud) -> None:
    cloud.has_no_stack()
    cloud.fails_the_smoke_check()
    with pytest.raises(UserError, match="smoke check"):
        release(candidate())
    (deploy,) = cloud.deploys()
    assert "s3" not in deploy


def test_a_release_with_codedeploy_is_checked_by_codedeploy_alone(cloud: Cloud) -> None:
    cloud.has_stack()
    # What the deploy looks at next.
    cloud.has_no_stack()
    with pytest.raises(UserError, match="is not deployed"):
        release(candidate(DeploymentPreferenceType="AllAtOnce"))
    assert len(cloud.deploys()) == 1


def test_a_release_that_would_not_wait_for_its_migrations_does_not_start(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "samconfig.toml"
    config.write_text("[default.global.parameters]\nexpress = true\n")
    monkeypatch.setattr(check_config, "__defaults__", (config,))
    with pytest.raises(UserError, match=r"\[default.global.parameters\] express: remove it"):
        release(candidate())
    assert cloud.deploys() == []


def test_a_small_account_is_told_before_sam_starts(cloud: Cloud) -> None:
    cloud.has_no_stack()
    limits = {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}
    cloud.lambda_.add_response("get_account_settings", {"AccountLimit": limits}, {})
    with pytest.raises(UserError, match="ReservedConcurrency 2: the account's limit"):
        release(candidate(ReservedConcurrency="2"))
    assert cloud.deploys() == []


def test_a_release_that_failed_is_another_one_the_next_time(cloud: Cloud) -> None:
    for _ in range(2):
        cloud.has_no_stack()
        cloud.fails_the_smoke_check()
        with pytest.raises(UserError):
            release(candidate())
    digests = [
        next(word for word in deploy.split() if word.startswith("ReleaseDigest="))
        for deploy in cloud.deploys()
    ]
    assert len(set(digests)) == 2


def test_a_rollback_goes_without_codedeploy_which_an_alarm_would_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = candidate(DeploymentPreferenceType="Canary10Percent5Minutes", Tracing="Active")
    package = Package("build", given.parameters, "Resources: {}")
    earlier = Release(7, replace(Origin(), package=package.digest), calls=0, current=False)
    monkeypatch.setattr(release_module, "earlier_release", lambda *_: (earlier, "code"))
    monkeypatch.setattr(release_module, "released_package", lambda *_: package)
    monkeypatch.setattr(release_module, "platform_of_package", lambda *_: PLATFORM)
    with kept_candidate(COPY, "") as restored:
        assert restored.restores == 7
        assert restored.parameters == {
            **given.parameters,
            "DeploymentPreferenceType": "Disabled",
        }


def test_the_template_is_short_enough_to_be_sent_without_a_bucket() -> None:
    # As `sam deploy` writes it. Versions of code objects and SAM's metadata make it longer.
    sent = yaml_dump(yaml_parse(TEMPLATE.read_text())).encode()
    assert len(sent) <= CLOUDFORMATION_TAKES_BYTES - ROOM_BYTES
