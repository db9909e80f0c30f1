import json
from types import SimpleNamespace

import boto3
import pytest

from trading.secret import Credentials, fetch_credentials


def test_credentials_come_from_the_secrets_current_version(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get_secret_value(**arguments: str) -> dict[str, str]:
        asked.append(arguments)
        return {"SecretString": json.dumps({"username": "u", "password": "p", "host": "x"})}

    client = SimpleNamespace(get_secret_value=get_secret_value)
    monkeypatch.setattr(boto3, "client", lambda service: {"secretsmanager": client}[service])
    assert fetch_credentials("arn") == Credentials("u", "p")
    assert asked == [{"SecretId": "arn"}]


def test_a_password_does_not_show_when_credentials_are_printed() -> None:
    assert "s3cret" not in repr(Credentials("u", "s3cret"))
