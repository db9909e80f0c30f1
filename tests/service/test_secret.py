from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreKeys
from hypothesis import given
from hypothesis import strategies as st

from local.database_server import TLSFiles
from tests.service.conftest import ROOT
from tests.support.ports import free_port
from tests.support.secrets_manager import KEYS_PATH, SecretsManager, secrets_manager
from trading.secret import (
    ARCHIVE,
    CURRENT,
    PENDING,
    Credentials,
    CredentialStore,
    SecretUnavailable,
    fetch_credentials,
)
from trading.secrets_manager import Keys, signed_headers

VALUE = {"username": "u", "password": "p", "cursor_key": "k", "host": "x"}
SECRET = {"SecretString": json.dumps(VALUE)}
FOUND = Credentials("u", "p", "k")


@pytest.fixture(autouse=True)
def role(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Lambda tells a function about its role."""
    monkeypatch.setenv("AWS_REGION", "us-east-2")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t0ken")
    monkeypatch.delenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", raising=False)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)


def ask(server: SecretsManager, stage: str = CURRENT, prefix: str = "") -> Credentials | None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        return fetch_credentials("arn:secret", stage, prefix)


@pytest.mark.parametrize("stage", [CURRENT, PENDING])
def test_credentials_are_those_of_one_version(stage: str) -> None:
    with secrets_manager((200, SECRET)) as server:
        assert ask(server, stage) == FOUND
    ((headers, body),) = server.requests
    assert body == {"SecretId": "arn:secret", "VersionStage": stage}
    assert headers["x-amz-target"] == "secretsmanager.GetSecretValue"
    assert headers["x-amz-security-token"] == "t0ken"
    assert "Credential=AKID/" in headers["authorization"]
    assert "/us-east-2/secretsmanager/aws4_request" in headers["authorization"]


texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=60)


@given(body=st.binary(max_size=300), access_key=texts, secret_key=texts, token=texts | st.none())
def test_requests_are_signed_as_botocore_signs_them(
    body: bytes, access_key: str, secret_key: str, token: str | None
) -> None:
    request = AWSRequest(
        "POST",
        "https://secretsmanager.us-east-1.amazonaws.com/",
        headers={
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "secretsmanager.GetSecretValue",
        },
        data=body,
    )
    keys = BotocoreKeys(access_key, secret_key, token)
    SigV4Auth(keys, "secretsmanager", "us-east-1").add_auth(request)
    now = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = signed_headers(
        body,
        "secretsmanager.us-east-1.amazonaws.com",
        "us-east-1",
        Keys(access_key, secret_key, token),
        now,
    )
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours.get("x-amz-security-token") == token


def test_an_environment_that_starts_from_a_snapshot_asks_for_its_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "container-token")
    with secrets_manager((200, SECRET)) as server:
        server.keys = {"AccessKeyId": "ASIA", "SecretAccessKey": "x", "Token": "given"}
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url + KEYS_PATH)
        assert ask(server) == FOUND
    ((headers, _),) = server.requests
    assert "Credential=ASIA/" in headers["authorization"]
    assert headers["x-amz-security-token"] == "given"


def test_a_secret_without_a_cursor_key_signs_nothing_until_it_has_one() -> None:
    value = json.dumps({"username": "u", "password": "p"})
    with secrets_manager((200, {"SecretString": value}), (200, SECRET)) as server:
        store = CredentialStore(lambda version_stage: ask(server, version_stage))
        assert store.get() == Credentials("u", "p")
        with pytest.raises(SecretUnavailable, match="no 'cursor_key'"):
            store.cursor_key()
        assert store.cursor_key() == "k"


def test_a_secret_has_a_second_user_for_the_archive() -> None:
    value = json.dumps({**VALUE, "archive_username": "a", "archive_password": "b"})
    with secrets_manager((200, {"SecretString": value}), (200, SECRET)) as server:
        assert ask(server, CURRENT, ARCHIVE) == Credentials("a", "b", "k")
        with pytest.raises(SecretUnavailable, match="no 'archive_username': deploy"):
            ask(server, CURRENT, ARCHIVE)


def test_a_version_that_is_not_there_is_none() -> None:
    with secrets_manager((400, {"__type": "ResourceNotFoundException"})) as server:
        assert ask(server, PENDING) is None


def test_a_refusal_is_reported_without_what_aws_said_and_not_repeated() -> None:
    refusal = {"__type": "AccessDeniedException", "Message": "arn:secret"}
    with secrets_manager((400, refusal)) as server, pytest.raises(SecretUnavailable) as refused:
        ask(server)
    assert "arn" not in str(refused.value)


@pytest.mark.parametrize("failure", [(500, {}), (503, b"<html>"), (200, b"")])
def test_one_failure_of_secrets_manager_is_retried(failure: tuple[int, object]) -> None:
    with secrets_manager(failure, (200, SECRET)) as server:
        assert ask(server) == FOUND
    with secrets_manager(failure, failure, (200, SECRET)) as server:
        with pytest.raises(SecretUnavailable):
            ask(server)
        assert len(server.requests) == 2


def test_where_nothing_answers_the_secret_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SecretUnavailable):
        fetch_credentials("arn:secret")


def test_a_server_has_to_prove_that_it_is_secrets_manager(
    tls: TLSFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    with secrets_manager((200, SECRET), tls=tls) as server:
        with pytest.raises(SecretUnavailable):
            ask(server)
        assert server.requests == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tls.ca))
        assert ask(server) == FOUND


PROGRAM = """
import sys
from trading import api
api.environment().credentials.get()
print({"boto3", "botocore.session"} & set(sys.modules))
"""


def test_the_first_request_does_not_load_boto3(service_variables: None) -> None:
    with secrets_manager((200, SECRET)) as server:
        source = str(ROOT / "service" / "src")
        finished = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONPATH": source, "AWS_ENDPOINT_URL": server.url},
            capture_output=True,
            text=True,
            check=True,
        )
    assert finished.stdout.strip() == "set()"


def test_passwords_do_not_show_when_credentials_are_printed() -> None:
    assert "s3cret" not in repr(Credentials("u", "s3cret", "s3cret"))
    assert "s3cret" not in repr(Keys("AKID", "s3cret", "s3cret"))
