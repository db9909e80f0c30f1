from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from trading.secret import CURRENT, PENDING, Credentials, SecretUnavailable, fetch_credentials


@pytest.fixture
def secrets_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """The real client; its answers are given here."""
    client = boto3.client("secretsmanager", region_name="us-east-1")
    asked: list[Any] = []

    def make(service: str, config: Any) -> Any:
        asked.append(config)
        return client

    monkeypatch.setattr(boto3, "client", make)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()
    # A request has 20 seconds in all.
    (config,) = asked
    attempts = config.retries["total_max_attempts"]
    assert attempts * (config.connect_timeout + config.read_timeout) <= 10


@pytest.mark.parametrize("stage", [CURRENT, PENDING])
def test_credentials_are_those_of_one_version(secrets_manager: Stubber, stage: str) -> None:
    value = {"username": "u", "password": "p", "cursor_key": "k", "host": "x"}
    secrets_manager.add_response(
        "get_secret_value",
        {"SecretString": json.dumps(value)},
        {"SecretId": "arn", "VersionStage": stage},
    )
    assert fetch_credentials("arn", stage) == Credentials("u", "p", "k")


def test_a_secret_without_a_cursor_key_signs_with_its_password(secrets_manager: Stubber) -> None:
    value = json.dumps({"username": "u", "password": "p"})
    secrets_manager.add_response("get_secret_value", {"SecretString": value})
    credentials = fetch_credentials("arn")
    assert credentials is not None
    assert credentials.cursor_key == "p"


def test_a_version_that_is_not_there_is_none(secrets_manager: Stubber) -> None:
    secrets_manager.add_client_error("get_secret_value", "ResourceNotFoundException")
    assert fetch_credentials("arn", PENDING) is None


def test_a_refusal_is_reported_without_what_aws_said(secrets_manager: Stubber) -> None:
    secrets_manager.add_client_error("get_secret_value", "AccessDeniedException", "arn:secret")
    with pytest.raises(SecretUnavailable) as refused:
        fetch_credentials("arn")
    assert "arn" not in str(refused.value)


def test_passwords_do_not_show_when_credentials_are_printed() -> None:
    assert "s3cret" not in repr(Credentials("u", "s3cret", "s3cret"))
