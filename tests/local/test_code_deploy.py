"""CodeDeploy and published versions on the emulator are as strict as on AWS."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.emulator import Emulator, running_emulator, until

STACK = "release"
ALARM = "release-errors"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("code-deploy") / "local") as running:
        yield running


CODE_DEPLOY = "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda"


def template(release: str, preference: str) -> str:
    """A stack whose alias points to a release's version. Versions stay, as with SAM.

    With the preference `Disabled`, CodeDeploy takes no part.
    """
    function = {"Ref": "Function"}
    group = {
        "ApplicationName": {"Ref": "Application"},
        "DeploymentConfigName": f"CodeDeployDefault.Lambda{preference}",
        "ServiceRoleArn": {"Fn::GetAtt": ["CodeDeployRole", "Arn"]},
        "AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": {"Ref": "Alarm"}}]},
    }
    policy = {
        "ApplicationName": {"Ref": "Application"},
        "DeploymentGroupName": {"Ref": "Group"},
    }
    version = f"Version{release}"
    resources: dict[str, Any] = {
        "CodeDeployRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []},
                "ManagedPolicyArns": [CODE_DEPLOY],
            },
        },
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
        },
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": "released",
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Description": release,
                "Code": {"ZipFile": "def handler(event, context):\n    return 1\n"},
            },
        },
        version: {
            "Type": "AWS::Lambda::Version",
            "DeletionPolicy": "Retain",
            "Properties": {"FunctionName": function},
        },
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": ALARM,
                "Namespace": "Test",
                "MetricName": "Errors",
                "ComparisonOperator": "GreaterThanThreshold",
                "Threshold": 0,
                "EvaluationPeriods": 1,
                "Period": 60,
                "Statistic": "Sum",
            },
        },
        "Application": {
            "Type": "AWS::CodeDeploy::Application",
            "Properties": {"ComputePlatform": "Lambda"},
        },
        "Group": {"Type": "AWS::CodeDeploy::DeploymentGroup", "Properties": group},
        "Alias": {
            "Type": "AWS::Lambda::Alias",
            "UpdatePolicy": {"CodeDeployLambdaAliasUpdate": policy},
            "Properties": {
                "FunctionName": function,
                "Name": "live",
                "FunctionVersion": {"Fn::GetAtt": [version, "Version"]},
            },
        },
    }
    if preference == "Disabled":
        del resources["Application"], resources["Group"], resources["Alias"]["UpdatePolicy"]
    return json.dumps({"Resources": resources})


class Released:
    """The stack on the emulator."""

    def __init__(self, emulator: Emulator) -> None:
        self.cloudformation = emulator.client("cloudformation")
        self.lambda_ = emulator.client("lambda")
        self.cloudwatch = emulator.client("cloudwatch")
        self.codedeploy = emulator.client("codedeploy")

    def create(self) -> None:
        self.cloudformation.create_stack(StackName=STACK, TemplateBody=template("A", "AllAtOnce"))
        until(lambda: self.status() == "CREATE_COMPLETE", "the stack")

    def update(self, release: str, preference: str) -> str:
        """Release and give the stack's status at the end."""
        self.cloudformation.update_stack(
            StackName=STACK, TemplateBody=template(release, preference)
        )
        time.sleep(0.5)
        until(lambda: not self.status().endswith("IN_PROGRESS"), "the release", seconds=60)
        return self.status()

    def status(self) -> str:
        found: str = self.cloudformation.describe_stacks(StackName=STACK)["Stacks"][0][
            "StackStatus"
        ]
        return found

    def alias(self) -> tuple[str, dict[str, float]]:
        """The alias's version, and the traffic share of another one."""
        alias = self.lambda_.get_alias(FunctionName="released", Name="live")
        shares = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        return alias["FunctionVersion"], dict(shares)

    def alarm(self, state: str) -> None:
        self.cloudwatch.set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason="test")

    def reasons(self) -> str:
        events = self.cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
        return " ".join(event.get("ResourceStatusReason", "") for event in events)


@pytest.fixture
def released(emulator: Emulator) -> Iterator[Released]:
    stack = Released(emulator)
    stack.create()
    yield stack
    stack.cloudformation.delete_stack(StackName=STACK)
    until(
        lambda: (
            STACK
            not in [each["StackName"] for each in stack.cloudformation.describe_stacks()["Stacks"]]
        ),
        "the stack to go",
    )


def test_callers_are_shifted_by_weight_until_all_have_moved(released: Released) -> None:
    old, _ = released.alias()
    seen = set()
    with ThreadPoolExecutor(1) as pool:
        update = pool.submit(released.update, "B", "Linear10PercentEvery1Minute")
        while not update.done():
            version, shares = released.alias()
            seen |= {(version, share) for share in shares.values()}
            time.sleep(0.2)
    assert update.result() == "UPDATE_COMPLETE"
    assert {share for version, share in seen if version == old} >= {0.1, 0.5, 0.9}
    assert released.alias() == (str(int(old) + 1), {})


def test_an_alarm_that_rings_meanwhile_brings_callers_back(released: Released) -> None:
    before = released.alias()
    ring = threading.Timer(2.5, released.alarm, ["ALARM"])
    ring.start()
    assert released.update("B", "Canary10Percent15Minutes") == "UPDATE_ROLLBACK_COMPLETE"
    ring.join()
    assert f"the alarm {ALARM} is in ALARM" in released.reasons()
    assert released.alias() == before


def test_nothing_is_released_through_codedeploy_while_an_alarm_rings(released: Released) -> None:
    before = released.alias()
    released.alarm("ALARM")
    assert released.update("B", "AllAtOnce") == "UPDATE_ROLLBACK_COMPLETE"
    assert released.alias() == before


def test_alarms_count_after_a_restart_of_the_emulator(
    emulator: Emulator, released: Released
) -> None:
    released.alarm("ALARM")
    emulator.stop()
    emulator.start()
    assert released.update("B", "AllAtOnce") == "UPDATE_ROLLBACK_COMPLETE"
    assert f"the alarm {ALARM} is in ALARM" in released.reasons()


def test_a_release_without_codedeploy_goes_while_an_alarm_rings_and_the_next_one_has_it_again(
    released: Released,
) -> None:
    released.alarm("ALARM")
    assert released.update("B", "Disabled") == "UPDATE_COMPLETE"
    assert released.update("C", "AllAtOnce") == "UPDATE_ROLLBACK_COMPLETE"
    released.alarm("OK")
    assert released.update("D", "AllAtOnce") == "UPDATE_COMPLETE"


def test_a_deployment_can_be_stopped(released: Released) -> None:
    before = released.alias()
    with ThreadPoolExecutor(1) as pool:
        update = pool.submit(released.update, "B", "Canary10Percent15Minutes")
        until(lambda: bool(released.alias()[1]), "the canary")
        (deployment,) = released.codedeploy.list_deployments(includeOnlyStatuses=["InProgress"])[
            "deployments"
        ]
        released.codedeploy.stop_deployment(deploymentId=deployment)
    assert update.result() == "UPDATE_ROLLBACK_COMPLETE"
    info = released.codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
    assert info["status"] == "Stopped"
    assert released.alias() == before


def test_what_failed_cannot_be_published_again_unless_it_differs(released: Released) -> None:
    released.alarm("ALARM")
    assert released.update("B", "AllAtOnce") == "UPDATE_ROLLBACK_COMPLETE"
    released.alarm("OK")
    # The attempt's version stays, and Lambda publishes no identical one.
    assert released.update("B", "AllAtOnce") == "UPDATE_ROLLBACK_COMPLETE"
    assert "A version for this Lambda function exists" in released.reasons()
    # SAM writes the digest of the attempt into the description: that differs.
    assert released.update("B2", "AllAtOnce") == "UPDATE_COMPLETE"
