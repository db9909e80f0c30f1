"""The stack states in which a release may start; tests/platform has real ones."""

import pytest
from botocore.stub import Stubber

from service.deploy import stack_status
from service.deploy.stack_status import why_not
from shared.cli import aws
from shared.cli.errors import UserError


@pytest.mark.parametrize(
    "status",
    [
        None,
        "REVIEW_IN_PROGRESS",
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "UPDATE_FAILED",
    ],
)
def test_a_release_begins_in_a_state_that_is_final_and_good(status: str | None) -> None:
    assert why_not("trades", "us-east-1", status) is None


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        ("CREATE_IN_PROGRESS", "run this again when it has ended"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "run this again when it has ended"),
        ("DELETE_IN_PROGRESS", "run this again when it has ended"),
        ("ROLLBACK_COMPLETE", "make destroy-service REGIONS=us-east-1`, which keeps the trades"),
        ("DELETE_FAILED", "make destroy-service REGIONS=us-east-1`, which keeps the trades"),
        (
            "UPDATE_ROLLBACK_FAILED",
            "continue-update-rollback --region us-east-1 --stack-name trades`",
        ),
    ],
)
def test_any_other_state_is_refused_with_the_command_that_helps(status: str, remedy: str) -> None:
    refusal = why_not("trades", "us-east-1", status)
    assert refusal is not None
    assert status in refusal
    assert remedy in refusal
    assert "\n" not in refusal


def test_the_command_that_helps_a_preview_leaves_the_environments_service_alone() -> None:
    refusal = why_not("trades--pr-42", "us-west-2", "ROLLBACK_FAILED")
    assert refusal is not None
    assert "REGIONS=us-west-2 SERVICE_STAGE=pr-42`, which deletes its data" in refusal


def test_without_credentials_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(aws.boto3, "DEFAULT_SESSION", None)
    with pytest.raises(UserError, match="Unable to locate credentials"):
        stack_status.check_releasable("trades", "us-east-1")


@pytest.mark.parametrize(
    ("code", "message", "refused"),
    [
        ("ValidationError", "Stack with id trades does not exist", False),
        ("AccessDenied", "not authorized to perform: cloudformation:DescribeStacks", True),
    ],
)
def test_a_missing_stack_is_no_obstacle_but_a_missing_right_is(
    monkeypatch: pytest.MonkeyPatch, code: str, message: str, refused: bool
) -> None:
    client = aws.boto3.client(
        "cloudformation", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    monkeypatch.setattr(aws.boto3, "client", lambda *_, **__: client)
    with Stubber(client) as stubber:
        stubber.add_client_error("describe_stacks", code, message)
        if refused:
            with pytest.raises(UserError, match="not authorized"):
                stack_status.check_releasable("trades", "us-east-1")
        else:
            stack_status.check_releasable("trades", "us-east-1")


def test_the_status_that_cloudformation_reports_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    client = aws.boto3.client(
        "cloudformation", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    monkeypatch.setattr(aws.boto3, "client", lambda *_, **__: client)
    stack = {"StackName": "trades", "CreationTime": 0, "StackStatus": "ROLLBACK_COMPLETE"}
    with Stubber(client) as stubber:
        stubber.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "trades"})
        with pytest.raises(UserError, match="is ROLLBACK_COMPLETE"):
            stack_status.check_releasable("trades", "us-east-1")
