"""What a command says if AWS cannot be asked."""

import boto3
import pytest

from shared.cli.aws import answering
from shared.cli.errors import UserError

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE")


def said(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> str:
    """The error of a call in an environment with these variables."""
    for name in (*KEYS, "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    nothing = {"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}
    quick = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"}
    for name, value in {**nothing, **quick, **variables}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as refused, answering("us-east-1", "STS"):
        boto3.Session().client("sts", region_name="us-east-1").get_caller_identity()
    return str(refused.value)


@pytest.mark.parametrize(
    ("variables", "cause"),
    [
        ({}, "Unable to locate credentials"),
        ({"AWS_PROFILE": "corp"}, "The config profile (corp) could not be found"),
        ({"AWS_DEFAULT_PROFILE": "corp"}, "The config profile (corp) could not be found"),
        ({"AWS_ACCESS_KEY_ID": "AKIA"}, "Partial credentials found in env"),
    ],
)
def test_without_credentials_it_says_how_to_get_some(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], cause: str
) -> None:
    text = said(monkeypatch, variables)
    assert text.startswith(f"credentials for AWS are needed: {cause}")
    assert 'eval "$(make local-env)"' in text


@pytest.mark.parametrize(
    ("variable", "hint"), [("AWS_ENDPOINT_URL", True), ("AWS_ENDPOINT_URL_STS", False)]
)
def test_a_platform_on_this_machine_that_is_down_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, hint: bool
) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    text = said(monkeypatch, {**keys, variable: "http://127.0.0.1:9"})
    assert text.startswith("STS in us-east-1 does not answer: Could not connect to")
    assert ("run `make up`" in text) == hint
