"""The runbooks, command by command. tests/infra/test_state.py runs that of the stuck lock."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from subprocess import CalledProcessError
from typing import Any

import pytest

from tests.platform.conftest import REGION, Platform
from tests.platform.test_local_platform import as_master_user, book, published, trades
from tests.platform.test_previews import wrong_master_password
from tests.platform.test_rollback import health, release_other_code
from tests.support.runbooks import commands, run


@pytest.fixture(scope="module", autouse=True)
def as_it_was(platform: Platform) -> Iterator[None]:
    """Restore the values that `make up` deployed; other tests expect them."""
    yield
    platform.make("deploy-service")


def carry_out(platform: Platform, runbook: str, **more: str) -> str:
    return execute(platform, *commands(runbook), **more)


def execute(platform: Platform, *blocks: str, **more: str) -> str:
    api = platform.trade_url.removesuffix("/trade")
    return run("".join(blocks), platform.env, REGION=REGION, API=api, **more)


def secret(platform: Platform, name: str) -> dict[str, str]:
    secrets: Any = platform.client("secretsmanager")
    answer = secrets.get_secret_value(SecretId=published(platform)[name])
    content: dict[str, str] = json.loads(answer["SecretString"])
    return content


def test_a_failover_keeps_the_trades_and_the_service_goes_on(platform: Platform) -> None:
    trade_id = book(platform)["trade_id"]
    assert '{"status": "ready"}' in carry_out(platform, "database-failover")
    assert {trade_id, book(platform)["trade_id"]} <= trades(platform).keys()


def passwords(platform: Platform) -> set[str]:
    """The passwords of the master user and of the service's users."""
    both = (secret(platform, n) for n in ("DatabaseMasterSecretArn", "DatabaseAppSecretArn"))
    return {value for each in both for key, value in each.items() if key.endswith("password")}


def test_all_passwords_are_changed_and_the_service_goes_on(platform: Platform) -> None:
    before = passwords(platform)
    assert len(before) == 3
    cursor_key = secret(platform, "DatabaseAppSecretArn")["cursor_key"]
    trade_id = book(platform)["trade_id"]
    printed = carry_out(platform, "secret-rotation")
    after = passwords(platform)
    assert len(before | after) == 6
    assert not [password for password in before | after if password in printed]
    assert secret(platform, "DatabaseAppSecretArn")["cursor_key"] == cursor_key
    assert {trade_id, book(platform)["trade_id"]} <= trades(platform).keys()


def test_a_restore_brings_back_what_was_destroyed_and_the_service_goes_on(
    platform: Platform,
) -> None:
    rds: Any = platform.client("rds")
    address = {
        name: published(platform)[name] for name in ("DatabaseWriterEndpoint", "DatabasePort")
    }
    (cluster,) = rds.describe_db_clusters()["DBClusters"]
    book(platform)
    before = trades(platform)
    time.sleep(1)  # a restore includes whole seconds
    moment = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    time.sleep(1)
    as_master_user(platform, "DELETE FROM trades WHERE symbol = 'AAPL'")
    as_master_user(platform, "UPDATE trades SET quantity = quantity + 1")
    as_master_user(platform, "ALTER USER trade_app@'%' IDENTIFIED BY 'of-the-damaged-database'")
    assert trades(platform) != before

    printed = carry_out(platform, "restore", TIME=moment)
    assert "No changes. Your infrastructure matches the configuration." in printed
    assert trades(platform) == before
    assert book(platform)["trade_id"] in trades(platform)
    assert address.items() <= published(platform).items()
    (restored,) = rds.describe_db_clusters()["DBClusters"]
    assert restored["DbClusterResourceId"] != cluster["DbClusterResourceId"]
    assert restored["DBClusterArn"] == cluster["DBClusterArn"]
    assert {member["DBInstanceIdentifier"] for member in restored["DBClusterMembers"]} == {
        member["DBInstanceIdentifier"] for member in cluster["DBClusterMembers"]
    }


def test_a_bad_release_is_rolled_back(platform: Platform) -> None:
    release_other_code(platform)
    assert health(platform) == "other"
    variables, check, do, verify, *_ = commands("rollback")
    assert '"status": "VALID"' in execute(platform, variables, check, do, verify)
    assert health(platform) == "ok"


def test_a_stack_that_cannot_roll_back_takes_releases_again(platform: Platform) -> None:
    with wrong_master_password(platform), pytest.raises(CalledProcessError):
        release_other_code(platform)
    drift = platform.make("drift", check=False)
    assert "service must be repaired: trading-platform-service-" in drift.stdout
    refused = platform.make("rollback-service", check=False)
    assert "is UPDATE_ROLLBACK_FAILED: repair what its events name" in refused.stdout
    assert health(platform) == "ok"
    variables, *_, events, go_on = commands("rollback")
    assert "Access denied for user" in execute(platform, variables, events, go_on)
    release_other_code(platform)
    assert health(platform) == "other"
