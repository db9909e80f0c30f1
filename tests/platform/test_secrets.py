"""The database's passwords are in no place where they should not be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.platform.conftest import REGION, Platform

# These files stand in for Secrets Manager and for RDS itself.
VAULTS = ("secretsmanager.json", "rds.json")


@pytest.fixture(scope="module")
def canaries(platform: Platform) -> dict[bytes, str]:
    """Every secret value of the environment, with a label."""
    client: Any = platform.client("secretsmanager")
    found = {}
    for secret in client.list_secrets()["SecretList"]:
        value = client.get_secret_value(SecretId=secret["ARN"])["SecretString"]
        for name, text in json.loads(value).items():
            if not name.endswith("username"):
                found[text.encode()] = f"{name} of {secret['Name']}"
    names = sorted(name.partition(" of ")[0] for name in found.values())
    assert names == ["archive_password", "cursor_key", "password", "password"], names
    return found


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        assert folder.is_dir()
        for path in folder.rglob("*"):
            if path.is_file() and path.name not in VAULTS:
                yield str(path), path.read_bytes()


def processes(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Arguments and variables of the platform's processes, functions included."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes()
            if str(folder).encode() in arguments:
                yield f"arguments of {process}", arguments
                yield f"variables of {process}", (process / "environ").read_bytes()
        except OSError:
            continue


def deployed(platform: Platform) -> Iterator[tuple[str, object]]:
    """What AWS shows of the deployed service."""
    formation: Any = platform.client("cloudformation")
    (stack,) = formation.describe_stacks()["Stacks"]
    name = stack["StackName"]
    yield "stack", stack
    yield "events", formation.describe_stack_events(StackName=name)["StackEvents"]
    yield "resources", formation.describe_stack_resources(StackName=name)["StackResources"]
    for stage in ("Original", "Processed"):
        yield stage, formation.get_template(StackName=name, TemplateStage=stage)["TemplateBody"]
    functions: Any = platform.client("lambda")
    yield "functions", functions.list_functions()["Functions"]
    parameters: Any = platform.client("ssm")
    pages = parameters.get_paginator("get_parameters_by_path")
    yield "contract", list(pages.paginate(Path="/", Recursive=True, WithDecryption=True))
    logs: Any = platform.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
        yield group["logGroupName"], events


def answers(platform: Platform) -> Iterator[tuple[str, object]]:
    """What a caller gets, refusals included."""
    base = platform.trade_url.removesuffix("/trade")
    order = {"symbol": "CANARY", "quantity": 1}
    for method, path, body in (
        ("POST", "/trade", order),
        ("POST", "/trade", {**order, "password": "x"}),
        ("GET", "/trades?limit=1", None),
        ("GET", "/trades?cursor=x", None),
        ("GET", "/health/ready", None),
        ("GET", "/nothing", None),
    ):
        answer = requests.request(method, base + path, json=body, timeout=30)
        yield f"{method} {path}", f"{answer.headers} {answer.text}"


def test_no_secret_is_where_it_should_not_be(
    platform: Platform, canaries: dict[bytes, str]
) -> None:
    told: dict[str, bytes] = {
        what: json.dumps(shown, default=str).encode()
        for source in (answers(platform), deployed(platform))
        for what, shown in source
    }
    assert any(b"trade booked" in text for text in told.values())
    for target in ("plan", "outputs"):
        told[f"make {target}"] = platform.make(target).stdout.encode()
    told.update(files(platform.settings.folder))
    told.update(processes(platform.settings.folder))
    state = platform.settings.folder / "state" / f"trading-platform-useast1-{platform.environment}"
    assert f"{state}.tfstate" in told
    assert any(what.startswith("variables of") for what in told)
    found = [
        f"{name} in {what}"
        for what, text in told.items()
        for secret, name in canaries.items()
        if secret in text
    ]
    assert not found


def test_terraforms_state_knows_no_value_of_a_secret(platform: Platform) -> None:
    """RDS creates one secret's value, the migration the other."""
    name = f"trading-platform-useast1-{platform.environment}.tfstate"
    state = json.loads((platform.settings.folder / "state" / name).read_text())
    types = {resource["type"] for resource in state["resources"]}
    assert "aws_secretsmanager_secret" in types
    assert not types & {"aws_secretsmanager_secret_version", "random_password"}
    (cluster,) = (r for r in state["resources"] if r["type"] == "aws_rds_cluster")
    (attributes,) = (instance["attributes"] for instance in cluster["instances"])
    assert attributes["manage_master_user_password"] is True
    assert not attributes["master_password"]
    assert REGION in attributes["arn"]
