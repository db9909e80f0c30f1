"""The runbooks, command by command; that of the stuck lock is run in tests/infra/test_state.py."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.platform.conftest import REGION, Platform
from tests.platform.test_local_platform import book, published, trades
from tests.runbooks import commands, run

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module", autouse=True)
def as_it_was(platform: Platform) -> Iterator[None]:
    """Leave the service as other tests expect it: with the values that `make up` gave it."""
    yield
    platform.make("deploy-service")


def carry_out(platform: Platform, runbook: str) -> str:
    api = platform.trade_url.removesuffix("/trade")
    return run("".join(commands(runbook)), platform.env, REGION=REGION, API=api)


def password(platform: Platform, name: str) -> str:
    secrets: Any = platform.client("secretsmanager")
    answer = secrets.get_secret_value(SecretId=published(platform)[name])
    text: str = json.loads(answer["SecretString"])["password"]
    return text


def test_a_failover_keeps_the_trades_and_the_service_goes_on(platform: Platform) -> None:
    trade_id = book(platform)["trade_id"]
    assert '{"status": "ready"}' in carry_out(platform, "database-failover")
    assert {trade_id, book(platform)["trade_id"]} <= trades(platform).keys()


def test_both_passwords_are_changed_and_the_service_goes_on(platform: Platform) -> None:
    names = ("DatabaseMasterSecretArn", "DatabaseAppSecretArn")
    before = [password(platform, name) for name in names]
    trade_id = book(platform)["trade_id"]
    printed = carry_out(platform, "secret-rotation")
    after = [password(platform, name) for name in names]
    assert not set(before) & set(after)
    assert not [secret for secret in (*before, *after) if secret in printed]
    assert {trade_id, book(platform)["trade_id"]} <= trades(platform).keys()
