"""What a plan and an apply say about the deployed services."""

import json
from collections.abc import Iterator

import pytest

from infra.commands import deploy, plan
from infra.commands.consumers import consumption
from shared.cli.errors import UserError
from tests.support.emulator import Emulator
from tests.support.small_stack import ENVIRONMENT, PARAMETER, REGION, Document

SERVICE = "a-service"


@pytest.fixture
def service(aws: Emulator, stack: Document) -> Iterator[str]:
    """A deployed stack that uses the small stack's value."""
    deploy.main()
    cloudformation = aws.client("cloudformation")
    template = {
        "Parameters": {"Database": {"Type": "AWS::SSM::Parameter::Value<String>"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    }
    cloudformation.create_stack(
        StackName=SERVICE,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "Database", "ParameterValue": PARAMETER}],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=SERVICE, WaiterConfig={"Delay": 1}
    )
    yield SERVICE
    cloudformation.delete_stack(StackName=SERVICE)


def test_an_apply_warns_of_the_services_whose_values_it_changes(
    aws: Emulator, stack: Document, service: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert consumption(REGION, ENVIRONMENT) == {PARAMETER: {service: "trading"}}
    capfd.readouterr()

    # Descriptions and topics do not affect a service.
    stack["resource"]["aws_ssm_parameter"]["name"]["description"] = "The database."
    stack["resource"]["aws_sns_topic"]["alarms"]["display_name"] = "Alerts"
    deploy.main()
    printed = capfd.readouterr()
    assert "0 added, 2 changed, 0 destroyed" in printed.out
    assert "warning" not in printed.err

    stack["resource"]["aws_ssm_parameter"]["name"]["value"] = "trades"
    changes = f"warning: {PARAMETER} changes; until redeployed, these keep the old value: {service}"
    plan.main([])
    assert changes in capfd.readouterr().err
    deploy.main()
    printed = capfd.readouterr()
    # Before the apply, and again below it.
    assert printed.err.count(changes) == 2
    assert "0 added, 1 changed, 0 destroyed" in printed.out
    assert aws.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"] == "trades"

    deploy.main()
    printed = capfd.readouterr()
    assert "No changes." in printed.out
    assert "warning" not in printed.err

    # Restore the value of the service's release.
    stack["resource"]["aws_ssm_parameter"]["name"]["value"] = "trading"
    plan.main([])
    assert "warning" not in capfd.readouterr().err

    stack["resource"]["aws_ssm_parameter"]["name"]["name"] = f"{PARAMETER}-of-old"
    plan.main([])
    goes = f"warning: {PARAMETER} goes away; released with it: {service}"
    assert goes in capfd.readouterr().err


def test_the_detailed_exit_code_of_terraform_is_passed_on(stack: Document) -> None:
    with pytest.raises(UserError, match="plan failed"):
        plan.main(["--", "-detailed-exitcode"])


def test_an_account_that_does_not_answer_is_one_clear_line(
    aws: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="AWS in us-east-1 does not answer"):
        consumption(REGION, ENVIRONMENT)
