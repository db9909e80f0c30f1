"""`make outputs`, with the real Terraform and an emulated account."""

import json
import os

import pytest

from infra.commands import outputs
from infra.config.environment import load_environment
from shared.cli.errors import UserError
from shared.naming import service_stack_name
from tests.infra.test_state import write_state
from tests.support.emulator import Emulator


@pytest.fixture
def deployed(aws: Emulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """An environment of two regions, one of them deployed."""
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "shown")
    monkeypatch.setenv("REGIONS", "us-east-1,us-west-2")
    environment = load_environment(os.environ)
    environment.state_dir.mkdir(parents=True)
    write_state(
        environment.local_state_file(environment.stack_names()[0]), lineage="shown", serial=1
    )
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {
            "ApiGatewayUrl": {"Value": "https://api.example/trade"},
            "LambdaFunctionName": {"Value": "trade-function"},
        },
    }
    cloudformation = aws.client("cloudformation")
    stack = service_stack_name("us-east-1", "shown")
    if not cloudformation.list_stacks(StackStatusFilter=["CREATE_COMPLETE"])["StackSummaries"]:
        cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(template))
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=stack, WaiterConfig={"Delay": 1}
        )
    return environment.suffix


def test_both_halves_outputs_are_printed_by_region(
    deployed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs.main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["us-east-1,", deployed] in lines
    assert ["vpc_id", "vpc-1"] in lines
    assert ["api_gateway_url", "https://api.example/trade"] in lines
    assert ["lambda_function_name", "trade-function"] in lines
    assert lines[-1][:3] == ["nothing", "is", "deployed:"]


def test_a_program_gets_them_as_json(
    deployed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSON", "1")
    outputs.main()
    assert json.loads(capsys.readouterr().out) == {
        "us-east-1": {
            "vpc_id": "vpc-1",
            "api_gateway_url": "https://api.example/trade",
            "lambda_function_name": "trade-function",
        },
        "us-west-2": {},
    }


def test_one_output_is_printed_alone(
    deployed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REGIONS", "us-east-1")
    monkeypatch.setenv("NAME", "api_gateway_url")
    outputs.main()
    assert capsys.readouterr().out == "https://api.example/trade\n"
    monkeypatch.setenv("NAME", "url")
    with pytest.raises(UserError, match="no such output in us-east-1; use one of vpc_id, api_"):
        outputs.main()


def test_a_stage_asks_for_the_outputs_of_that_preview(
    deployed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SERVICE_STAGE", "pr-42")
    monkeypatch.setenv("JSON", "1")
    outputs.main()
    assert json.loads(capsys.readouterr().out)["us-east-1"] == {"vpc_id": "vpc-1"}


def test_an_account_that_does_not_answer_is_one_clear_line(
    deployed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(UserError, match="CloudFormation in us-east-1 does not answer"):
        outputs.main()


def test_a_state_that_cannot_be_read_is_named_with_its_runbook(
    deployed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = load_environment(os.environ)
    environment.local_state_file(environment.stack_names()[0]).write_text("not a state")
    with pytest.raises(UserError, match=r"cannot be read: .*; see docs/runbooks/stuck-lock\.md"):
        outputs.main()
    assert "Error" in capsys.readouterr().err
