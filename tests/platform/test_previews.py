"""Two previews, created and removed with the service deployer's policies only."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest
import requests
from pymysql.err import MySQLError

from local.platform import trade_url
from shared.contract.loader import load_contract
from shared.naming import service_stack_name
from tests.platform.conftest import REGION, Platform

STAGES = ("pr-1", "pr-12")
SCHEMAS = {"": "trading", **{stage: f"preview-{stage}" for stage in STAGES}}


def stack_of(platform: Platform, stage: str) -> str:
    return service_stack_name(REGION, platform.environment, stage)


def published(platform: Platform, name: str) -> str:
    contract = load_contract()
    ssm: Any = platform.client("ssm")
    path = contract.path(contract[name], platform.environment)
    return str(ssm.get_parameter(Name=path)["Parameter"]["Value"])


def database(platform: Platform, stage: str = "", secret: str = "") -> Any:
    """A connection as a stage's own user, or as a secret's user."""
    own = f"{stack_of(platform, stage)}/database"
    secrets: Any = platform.client("secretsmanager")
    value = secrets.get_secret_value(SecretId=secret or own)["SecretString"]
    return pymysql.connect(
        host=published(platform, "DatabaseWriterEndpoint"),
        port=int(published(platform, "DatabasePort")),
        user=json.loads(value)["username"],
        password=json.loads(value)["password"],
        database=SCHEMAS[stage],
        ssl={"ca": str(platform.settings.tls / "ca.pem")},
    )


def names(platform: Platform, query: str) -> set[str]:
    """The first column of a query's rows, as the master user."""
    master = published(platform, "DatabaseMasterSecretArn")
    with database(platform, secret=master) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return {name for (name, *_) in cursor.fetchall()}


def keys(platform: Platform, bucket: str, prefix: str) -> set[str]:
    """The existing objects; in the data bucket, deleted ones as well."""
    s3: Any = platform.client("s3")
    found = s3.list_object_versions(Bucket=published(platform, bucket), Prefix=prefix)
    kept = bucket == "DataBucketName"
    return {each["Key"] for each in found.get("Versions", []) if kept or each["IsLatest"]}


def symbols(platform: Platform, stage: str) -> set[str]:
    """The symbols of the trades that a stage's API lists."""
    url = trade_url(platform.settings, REGION, platform.environment, stage)
    listed = requests.get(f"{url}s", timeout=30).json()
    return {trade["symbol"] for trade in listed["trades"]}


def delete_stack(platform: Platform, stage: str) -> str:
    """Delete a preview's stack and wait. Returns its status; empty once it is gone."""
    cloudformation: Any = platform.client("cloudformation")
    cloudformation.delete_stack(StackName=stack_of(platform, stage))
    while True:
        stacks = cloudformation.describe_stacks()["Stacks"]
        found = {each["StackName"]: each["StackStatus"] for each in stacks}
        status = str(found.get(stack_of(platform, stage), ""))
        if not status.endswith("_IN_PROGRESS") and status != "CREATE_COMPLETE":
            return status
        time.sleep(0.5)


@contextmanager
def wrong_master_password(platform: Platform) -> Iterator[None]:
    """Store a wrong master password, so that migrations cannot log in."""
    secrets: Any = platform.client("secretsmanager")
    master = published(platform, "DatabaseMasterSecretArn")
    right = secrets.get_secret_value(SecretId=master)["SecretString"]
    wrong = json.dumps({**json.loads(right), "password": "wrong"})
    secrets.put_secret_value(SecretId=master, SecretString=wrong)
    try:
        yield
    finally:
        secrets.put_secret_value(SecretId=master, SecretString=right)


@pytest.fixture(scope="module")
def previews(app_team: Platform, platform: Platform) -> Iterator[Platform]:
    """The platform with two previews; each has a trade and an archive."""
    for stage in STAGES:
        app_team.make("deploy-service", f"SERVICE_STAGE={stage}")
    for stage, schema in SCHEMAS.items():
        url = trade_url(platform.settings, REGION, platform.environment, stage)
        order = {"symbol": schema.replace("-", "").upper(), "quantity": 1}
        booked = requests.post(url, json=order, timeout=30)
        assert booked.status_code == 200, booked.text
        own = f"{platform.environment}--{stage}" if stage else platform.environment
        assert booked.json()["environment"] == own
    for stage in STAGES:
        event = "EVENT=service/events/archive/day.json"
        app_team.make("invoke", "FUNCTION=ArchiveFunction", event, f"SERVICE_STAGE={stage}")
    yield platform
    for stage in STAGES:
        assert delete_stack(platform, stage) == ""


def test_no_preview_shows_the_trades_of_another_through_the_api(previews: Platform) -> None:
    for stage in STAGES:
        assert symbols(previews, stage) == {SCHEMAS[stage].replace("-", "").upper()}
    assert not {symbol for symbol in symbols(previews, "") if symbol.startswith("PREVIEW")}


def test_no_database_user_reaches_the_schema_of_another(previews: Platform) -> None:
    app_secret = published(previews, "DatabaseAppSecretArn")
    for stage in SCHEMAS:
        secret = "" if stage else app_secret
        with database(previews, stage, secret) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM trades")
            assert cursor.fetchone()[0] > 0
            for other in SCHEMAS.keys() - {stage}:
                with pytest.raises(MySQLError, match="denied"):
                    cursor.execute(f"SELECT * FROM `{SCHEMAS[other]}`.trades")


def test_previews_are_listed_and_each_has_outputs(previews: Platform, app_team: Platform) -> None:
    printed = app_team.make("--no-print-directory", "previews", "JSON=1").stdout
    listed = {preview["stage"]: preview for preview in json.loads(printed)}
    assert listed.keys() == set(STAGES)
    lines = app_team.make("--no-print-directory", "previews").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [[stage, REGION] for stage in STAGES]
    status = previews.make("status", "SERVICE_STAGE=pr-1").stdout
    assert trade_url(previews.settings, REGION, previews.environment, "pr-1") in status


def test_a_mistaken_stage_is_one_clear_line(app_team: Platform, previews: Platform) -> None:
    absent = app_team.make("destroy-service", "SERVICE_STAGE=pr-2", check=False)
    assert absent.returncode != 0
    assert "there is no preview pr-2 of test in us-east-1 to remove" in absent.stdout
    assert "there are: pr-1, pr-12" in absent.stdout
    refused = app_team.make("destroy-service", "SERVICE_STAGE=PR-1", check=False)
    assert "error: SERVICE_STAGE 'PR-1': use 1 to 20 lower-case letters" in refused.stdout
    assert "Traceback" not in absent.stdout + refused.stdout


def test_a_removed_preview_leaves_nothing_behind_and_the_rest_as_it_was(
    previews: Platform, app_team: Platform
) -> None:
    removed = f"{stack_of(previews, 'pr-1')}/"
    assert keys(previews, "DataBucketName", "previews/pr-1/")
    assert keys(previews, "ArtifactBucketName", removed)
    before = symbols(previews, "")

    app_team.make("destroy-service", "SERVICE_STAGE=pr-1")

    secrets: Any = previews.client("secretsmanager")
    cloudformation: Any = previews.client("cloudformation")
    stacks = {stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]}
    assert stack_of(previews, "pr-1") not in stacks
    assert not [s for s in secrets.list_secrets()["SecretList"] if s["Name"].startswith(removed)]
    assert "preview-pr-1" not in names(previews, "SHOW DATABASES")
    users = names(previews, "SELECT user FROM mysql.user")
    assert not {"preview-pr-1", "migrate-pr-1"} & users
    assert not keys(previews, "DataBucketName", "previews/pr-1/")
    assert not keys(previews, "ArtifactBucketName", removed)

    assert {stack_of(previews, ""), stack_of(previews, "pr-12")} <= stacks
    assert {"preview-pr-12", "trade_app"} <= users
    assert keys(previews, "DataBucketName", "previews/pr-12/")
    assert keys(previews, "ArtifactBucketName", f"{stack_of(previews, 'pr-12')}/")
    assert keys(previews, "ArtifactBucketName", f"{stack_of(previews, '')}/")
    assert symbols(previews, "pr-12") == {"PREVIEWPR12"}
    assert symbols(previews, "") == before


def test_a_preview_whose_data_cannot_be_deleted_stays_until_it_can(previews: Platform) -> None:
    with wrong_master_password(previews):
        assert delete_stack(previews, "pr-12") == "DELETE_FAILED"
    assert "preview-pr-12" in names(previews, "SHOW DATABASES")
