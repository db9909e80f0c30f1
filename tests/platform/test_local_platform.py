"""What a newcomer sees: `make up`, a curl, a trade in a real database."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pymysql
import pytest
import requests

from local.platform import ROOT
from shared.contract.loader import load_contract
from shared.naming import service_stack_name
from tests.platform.conftest import REGION, Platform, processes_naming
from tests.support.ports import free_port_base


def published(platform: Platform) -> dict[str, str]:
    """The contract's values, by logical name."""
    contract = load_contract()
    ssm: Any = platform.client("ssm")
    return {
        parameter.logical_name: ssm.get_parameter(
            Name=contract.path(parameter, platform.environment)
        )["Parameter"]["Value"]
        for parameter in contract.parameters
    }


def as_master_user(platform: Platform, sql: str) -> tuple[Any, ...]:
    """The rows of a statement, run as the master user."""
    values = published(platform)
    secrets: Any = platform.client("secretsmanager")
    secret = json.loads(
        secrets.get_secret_value(SecretId=values["DatabaseMasterSecretArn"])["SecretString"]
    )
    with (
        pymysql.connect(
            host=values["DatabaseWriterEndpoint"],
            port=int(values["DatabasePort"]),
            database=values["DatabaseName"],
            user=secret["username"],
            password=secret["password"],
            autocommit=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
        return tuple(cursor.fetchall())


def trades(platform: Platform) -> dict[str, tuple[str, int]]:
    """All trades in the database."""
    rows = as_master_user(platform, "SELECT trade_id, symbol, quantity FROM trades")
    return {trade_id: (symbol, quantity) for trade_id, symbol, quantity in rows}


def book(platform: Platform) -> dict[str, Any]:
    answer = requests.post(platform.trade_url, json={"symbol": "MSFT", "quantity": 7}, timeout=30)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_the_printed_curl_books_a_trade_as_it_stands(platform: Platform) -> None:
    printed = platform.make("up").stdout
    (command,) = re.findall(r"^  (curl .*)$", printed, re.MULTILINE)
    answer = subprocess.run(shlex.split(command), capture_output=True, check=True)
    document = json.loads(answer.stdout)
    trade_id = document.pop("trade_id")
    assert document == {
        "symbol": "AAPL",
        "quantity": 100,
        "status": "SUCCESS",
        "region": "us-east-1",
        "environment": "test",
        "db_endpoint": published(platform)["DatabaseWriterEndpoint"],
    }
    assert trades(platform)[trade_id] == ("AAPL", 100)


def test_bad_input_is_a_400_and_writes_nothing(platform: Platform) -> None:
    before = trades(platform)
    answer = requests.post(platform.trade_url, data='{"symbol":"AAPL","quantity":-1}', timeout=30)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "INVALID_TRADE"
    assert trades(platform) == before


def test_a_second_up_changes_nothing_and_keeps_the_trades(platform: Platform) -> None:
    trade_id = book(platform)["trade_id"]
    platform.make("up")
    logs = platform.settings.folder / "logs"
    assert "No changes. Your infrastructure" in (logs / "deploy-infra.log").read_text()
    assert "No changes to deploy" in (logs / "deploy-service.log").read_text()
    assert trade_id in trades(platform)


def test_a_second_deploy_of_either_half_changes_nothing(platform: Platform) -> None:
    infra = platform.make("deploy-infra").stdout
    assert "No changes. Your infrastructure matches the configuration." in infra
    service = platform.make("deploy-service").stdout
    assert "No changes to deploy" in service


def test_terraform_finds_nothing_to_change_after_the_deploy(platform: Platform) -> None:
    finished = platform.make("plan", "ARGS=-detailed-exitcode")
    assert "No changes. Your infrastructure matches the configuration." in finished.stdout


def test_sam_lists_what_is_deployed(platform: Platform) -> None:
    stack = service_stack_name(REGION, platform.environment)
    for what, name in (("resources", "TradeFunction"), ("endpoints", "/trade[")):
        listed = subprocess.run(
            [ROOT / ".venv" / "bin" / "sam", "list", what, "--stack-name", stack],
            cwd=ROOT / "service",
            env=platform.env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert name in listed.stdout, listed.stderr


def test_invoke_sends_a_ready_event_to_the_deployed_function(platform: Platform) -> None:
    printed = platform.make("invoke").stdout
    assert '"statusCode": 200' in printed or '\\"status\\": \\"SUCCESS\\"' in printed
    missing = platform.make("invoke", "EVENT=nowhere.json", check=False)
    assert missing.returncode != 0
    assert "EVENT nowhere.json: there is no such file" in missing.stdout


def test_status_names_what_runs_and_where(platform: Platform) -> None:
    printed = platform.make("status").stdout
    assert re.search(r"emulator +running \(pid \d+\)", printed)
    assert re.search(r"database +running \(pid \d+\), MySQL [89]\.\d", printed)
    assert platform.trade_url in printed


def test_the_printed_variables_send_any_tool_to_the_platform(platform: Platform) -> None:
    make = "make --no-print-directory"
    found = subprocess.run(
        ["bash", "-euc", f'eval "$({make} local-env)"\n{make} outputs JSON=1'],
        cwd=ROOT,
        env={
            **os.environ,
            "ENVIRONMENT_SUFFIX": platform.environment,
            "LOCAL_DIR": str(platform.settings.folder),
            "LOCAL_PORT_BASE": str(platform.settings.port),
            "AWS_PROFILE": "of-the-real-account",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    outputs = json.loads(found.stdout)["us-east-1"]
    assert outputs["rds_cluster_endpoint"] == published(platform)["DatabaseWriterEndpoint"]
    assert "lambda_function_name" in outputs


@pytest.mark.parametrize("victim", ["local.emulator", "mysqld"])
def test_up_restarts_a_killed_part_and_keeps_the_trades(platform: Platform, victim: str) -> None:
    trade_id = book(platform)["trade_id"]
    printed = platform.make("status").stdout
    kind = {"local.emulator": "emulator", "mysqld": "database"}[victim]
    (pid,) = re.findall(rf"{kind} +running \(pid (\d+)\)", printed)
    os.kill(int(pid), signal.SIGKILL)
    time.sleep(0.5)
    platform.make("up")
    assert book(platform)["trade_id"] in trades(platform)
    assert trade_id in trades(platform)


def test_a_port_in_use_is_one_clear_line(tmp_path: Path, platform: Platform) -> None:
    base = free_port_base()
    with socket.create_server(("127.0.0.1", base)):
        finished = subprocess.run(
            ["make", "up"],
            cwd=ROOT,
            env={
                **platform.env,
                "LOCAL_DIR": str(tmp_path / "local"),
                "LOCAL_PORT_BASE": str(base),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    assert finished.returncode != 0
    assert f"port {base} is in use by another program" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_down_and_up_again_keep_the_trades(platform: Platform) -> None:
    trade_id = book(platform)["trade_id"]
    platform.make("down")
    assert not processes_naming(platform.settings.folder)
    assert "stopped" in platform.make("status", check=False).stdout
    platform.make("up")
    assert trade_id in trades(platform)


@pytest.mark.last
def test_destroying_both_halves_leaves_nothing_behind(platform: Platform) -> None:
    platform.make("destroy-service")
    platform.make("destroy-infra")
    clients: dict[str, Any] = {
        name: platform.client(name)
        for name in ("cloudformation", "ec2", "lambda", "logs", "rds", "s3", "secretsmanager")
    }
    assert clients["cloudformation"].describe_stacks()["Stacks"] == []
    assert clients["lambda"].list_functions()["Functions"] == []
    assert clients["lambda"].list_layers()["Layers"] == []
    assert clients["logs"].describe_log_groups()["logGroups"] == []
    assert clients["rds"].describe_db_clusters()["DBClusters"] == []
    assert clients["s3"].list_buckets()["Buckets"] == []
    assert clients["secretsmanager"].list_secrets()["SecretList"] == []
    vpcs = clients["ec2"].describe_vpcs()["Vpcs"]
    assert all(vpc["IsDefault"] for vpc in vpcs)
    assert not list(platform.settings.databases.glob("*/*"))
    assert not [c for c in processes_naming(platform.settings.folder) if "mysqld" in c]
