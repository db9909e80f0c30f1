"""What a deploy requires of the data platform before it uploads, on an emulated account."""

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from service.deploy.build import TEMPLATE, built_template
from service.deploy.commands import main as run
from service.deploy.deployed import deployed_stack
from service.deploy.drift import value_findings
from shared.cli.errors import UserError
from shared.contract.check import ROOT, main
from shared.contract.loader import CHECKSUM_TAG, Contract, load_contract
from shared.contract.template import consumed_names
from tests.support.emulator import Emulator

ENVIRONMENT = "tested"
VARIABLES = {"AGAINST": "environment", "ENVIRONMENT_SUFFIX": ENVIRONMENT}
ACCEPTED = (
    "trading-platform-useast1-tested: contract 1.2.0, {count} values for service/template.yaml\n"
)


_VALUES = {
    "DatabaseConnectionBudget": "20",
    "DatabaseProxied": "false",
    "KmsKeyArn": "arn:aws:kms:us-east-1:000000000000:key/1",
    "Production": "false",
}


@pytest.fixture
def contract() -> Contract:
    return load_contract()


Publish = Callable[[str, str, str], None]


@pytest.fixture
def publish(aws: Emulator) -> Publish:
    """Publishes a value; overwrites an existing one."""
    ssm = aws.client("ssm")

    def put(path: str, value: str, type_: str) -> None:
        # The type of a parameter cannot be changed.
        ssm.delete_parameters(Names=[path])
        ssm.put_parameter(Name=path, Value=value, Type=type_)

    return put


@pytest.fixture
def platform(publish: Publish, contract: Contract) -> None:
    """A data platform that only publishes the contract."""
    publish(contract.version_path(ENVIRONMENT), str(contract.version), "String")
    for parameter in contract.parameters:
        value = _VALUES.get(parameter.logical_name, "a,b")
        publish(contract.path(parameter, ENVIRONMENT), value, parameter.ssm_type)


@pytest.fixture
def rows(platform: None, capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Runs the check, which must refuse, and gives the rows of its table, with single spaces."""

    def run() -> list[str]:
        capsys.readouterr()
        with pytest.raises(UserError, match="trading-platform-useast1-tested: a service cannot"):
            main(ROOT, VARIABLES)
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[2:]]

    return run


def test_a_platform_that_keeps_the_contract_is_accepted(
    platform: None, capsys: pytest.CaptureFixture[str]
) -> None:
    main(ROOT, VARIABLES)
    count = len(consumed_names(TEMPLATE.read_text()))
    assert capsys.readouterr().out == ACCEPTED.format(count=count)


def test_a_value_that_was_removed_is_named(
    aws: Emulator, contract: Contract, rows: Callable[[], list[str]]
) -> None:
    for name in ("DatabasePort", "ArtifactBucketName"):
        aws.client("ssm").delete_parameter(Name=contract.path(contract[name], ENVIRONMENT))
    assert rows() == [
        "DatabasePort missing; published since 1.0.0 /trading-platform/tested/v1/database/port",
        "ArtifactBucketName missing; published since 1.0.0 "
        "/trading-platform/tested/v1/storage/artifact-bucket-name",
    ]


def test_a_value_that_was_renamed_is_named(
    aws: Emulator, contract: Contract, publish: Publish, rows: Callable[[], list[str]]
) -> None:
    path = contract.path(contract["DatabasePort"], ENVIRONMENT)
    aws.client("ssm").delete_parameter(Name=path)
    publish(f"{path}-number", "3306", "String")
    assert rows() == [f"DatabasePort missing; published since 1.0.0 {path}"]


def test_a_value_that_was_retyped_is_named(
    contract: Contract, publish: Publish, rows: Callable[[], list[str]]
) -> None:
    path = contract.path(contract["PrivateSubnetIds"], ENVIRONMENT)
    publish(path, "a,b", "String")
    assert rows() == [f"PrivateSubnetIds wrong type: String instead of StringList {path}"]


@pytest.mark.parametrize(
    ("version", "complaint"),
    [("1.0.9", "too old: 1.0.9"), ("2.0.0", "too new: 2.0.0"), ("x", "no version: x")],
)
def test_a_version_outside_the_services_range_is_named(
    contract: Contract,
    publish: Publish,
    rows: Callable[[], list[str]],
    version: str,
    complaint: str,
) -> None:
    path = contract.version_path(ENVIRONMENT)
    publish(path, version, "String")
    assert rows() == [f"contract-version {complaint}, but the service needs >=1.2.0,<2.0.0 {path}"]


def test_a_platform_from_before_the_version_was_published_is_refused(
    aws: Emulator, contract: Contract, rows: Callable[[], list[str]]
) -> None:
    path = contract.version_path(ENVIRONMENT)
    aws.client("ssm").delete_parameter(Name=path)
    assert rows() == [
        f"contract-version no version: none, but the service needs >=1.2.0,<2.0.0 {path}"
    ]


# The values that a service of contract 1.1.0 uses.
_RELEASED_ON_1_1 = """
Metadata:
  Contract: {Requires: '>=1.1.0,<2.0.0'}
Parameters:
  DatabasePort: {Type: 'AWS::SSM::Parameter::Value<String>'}
  AlarmTopicArn: {Type: 'AWS::SSM::Parameter::Value<String>'}
Resources:
  Queue: {Type: 'AWS::SQS::Queue'}
"""


def test_a_service_released_on_1_1_lives_on_1_2_until_it_is_released_again(
    aws: Emulator, platform: None, contract: Contract, publish: Publish
) -> None:
    publish(contract.version_path(ENVIRONMENT), "1.1.0", "String")
    added = [each for each in contract.parameters if str(each.since) == "1.2.0"]
    assert added
    for parameter in added:
        aws.client("ssm").delete_parameter(Name=contract.path(parameter, ENVIRONMENT))
    cloudformation = aws.client("cloudformation")
    name = "service-on-1-1"
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=_RELEASED_ON_1_1,
        Parameters=[
            {
                "ParameterKey": consumed,
                "ParameterValue": contract.path(contract[consumed], ENVIRONMENT),
            }
            for consumed in ("DatabasePort", "AlarmTopicArn")
        ],
    )
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name)

    def findings() -> list[str]:
        stack = deployed_stack(name, "us-east-1")
        assert stack
        assert len(stack.resolved) == 2
        return list(value_findings(stack, "us-east-1", ENVIRONMENT))

    assert findings() == []
    publish(contract.version_path(ENVIRONMENT), str(contract.version), "String")
    for parameter in added:
        publish(contract.path(parameter, ENVIRONMENT), "false", "String")
    # All of its values still exist, and its range includes the new version.
    assert findings() == []
    port = contract.path(contract["DatabasePort"], ENVIRONMENT)
    earlier = aws.client("ssm").get_parameter(Name=port)["Parameter"]["Value"]
    checksum = {"Key": CHECKSUM_TAG, "Value": sha256(b"3307").hexdigest()}
    for value, tags, who in (
        # By a platform of an older release.
        ("3307", [], "service must be redeployed: database/port changed"),
        ("3307", [checksum], "service must be redeployed: database/port changed"),
        ("3308", [checksum], "infra must be applied: database/port was edited by hand"),
    ):
        publish(port, value, "String")
        aws.client("ssm").add_tags_to_resource(ResourceType="Parameter", ResourceId=port, Tags=tags)
        assert findings() == [f"{who} ({earlier} -> {value})"]
    publish(port, earlier, "String")
    cloudformation.delete_stack(StackName=name)


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of the service that can be released."""
    monkeypatch.setenv("BUILD_DIR", str(tmp_path))
    template = built_template(os.environ)
    trusted = template.parent / "TradeFunction" / "trading" / "rds-ca.pem"
    trusted.parent.mkdir(parents=True)
    trusted.touch()
    # SAM writes the functions of CloudFormation in their long form.
    template.write_text(json.dumps(yaml_parse(TEMPLATE.read_text())))
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", ENVIRONMENT)
    return template


def test_a_deploy_on_an_older_platform_stops_before_sam_starts(
    platform: None,
    built: Path,
    contract: Contract,
    publish: Publish,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(built.parent))  # where there is no SAM
    publish(contract.version_path(ENVIRONMENT), "1.1.0", "String")
    with pytest.raises(UserError, match=r"is not what service/template.yaml needs"):
        run(["deploy"])
    assert "too old: 1.1.0, but the service needs" in capsys.readouterr().out
    publish(contract.version_path(ENVIRONMENT), "1.2.0", "String")
    with pytest.raises(FileNotFoundError, match="sam"):
        run(["deploy"])


def test_a_release_that_one_region_cannot_take_starts_in_none(
    platform: None,
    built: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REGIONS", "us-east-1,us-west-2")
    with pytest.raises(UserError, match="no data platform for the environment tested in us-west-2"):
        run(["deploy"])
    assert capsys.readouterr().out == ""


def test_without_a_platform_the_check_says_only_that(
    aws: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="trading-platform-uswest2-tested: a service cannot"):
        main(ROOT, {**VARIABLES, "REGIONS": "us-west-2"})
    assert capsys.readouterr().out == (
        "trading-platform-uswest2-tested: there is no data platform; "
        "run `make deploy-infra` first\n"
    )


def test_an_account_that_does_not_answer_is_one_clear_line(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UserError, match="SSM Parameter Store in us-east-1 does not answer"):
        main(ROOT, VARIABLES)
