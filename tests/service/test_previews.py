"""What `make previews` prints. tests/platform creates real previews."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from service.deploy.previews import (
    Preview,
    duration,
    find_previews,
    listing,
    reserved_beside,
)
from shared.naming import service_stack_name
from tests.support.emulator import REGION, Emulator

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (timedelta(seconds=59), "0 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=40), "40 d"),
    ],
)
def test_a_duration_is_shown_in_its_largest_whole_unit(time: timedelta, text: str) -> None:
    assert duration(time) == text


@pytest.mark.parametrize("status", ["REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"])
def test_an_attempt_that_deployed_nothing_is_no_preview(status: str) -> None:
    attempt = Preview("pr-9", "us-east-1", NOW, NOW, status, "")
    (line,) = listing([attempt], NOW).splitlines()
    assert f"nothing is deployed; a release failed and left a stack ({status})" in line
    assert "`make destroy-service REGIONS=us-east-1 SERVICE_STAGE=pr-9`" in line
    deployed = Preview("pr-8", "us-east-1", NOW, NOW, "CREATE_COMPLETE", "http://api")
    lines = listing([attempt, deployed], NOW).splitlines()
    assert [each.split()[0] for each in lines] == ["STAGE", "pr-8", "pr-9"]


def test_an_attempt_that_deployed_nothing_has_reserved_nothing(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As `sam sync` and a deploy without the parameters leave it: nobody executes the change set.
    for name, value in {
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    template = {
        "Parameters": {"ReservedConcurrency": {"Type": "Number"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
    }
    emulator.client("cloudformation").create_change_set(
        StackName=service_stack_name(REGION, "attempts", "pr-9"),
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": "ReservedConcurrency", "ParameterValue": "5"}],
    )
    (attempt,) = find_previews(REGION, "attempts")
    assert not attempt.is_deployed
    assert reserved_beside("another", REGION, "attempts") == 0


def test_a_preview_without_an_api_is_listed() -> None:
    preview = Preview(
        stage="pr-42",
        region="us-east-1",
        created=NOW - timedelta(days=3),
        released=NOW - timedelta(hours=5),
        status="DELETE_FAILED",
        url="",
    )
    heading, line = listing([preview], NOW).splitlines()
    assert heading.split("  ")[0] == "STAGE"
    assert " ".join(line.split()) == "pr-42 us-east-1 3 d 5 h ago DELETE_FAILED none"
