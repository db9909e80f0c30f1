"""An account that has not opted in to backups of Aurora is told so before a plan or an apply."""

from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from infra.commands import planning
from infra.commands.backup_settings import check_backups
from infra.config.environment import EnvironmentConfig, load_environment
from shared.cli.errors import UserError


def environment(folder: Path, text: str) -> EnvironmentConfig:
    file = folder / "qa.toml"
    file.write_text(text)
    return load_environment({"ENVIRONMENT_FILE": str(file), "REGIONS": "us-east-1"})


@pytest.fixture
def backup(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    """AWS Backup in an account whose answers a test gives."""
    client = boto3.client(
        "backup", region_name="us-east-1", aws_access_key_id="-", aws_secret_access_key="-"
    )
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    stub = Stubber(client)
    stub.activate()
    return stub


def answer(stub: Stubber, *, aurora: bool) -> None:
    settings = {"ResourceTypeOptInPreference": {"Aurora": aurora, "EC2": not aurora}}
    stub.add_response("describe_region_settings", settings, {})


def test_an_account_that_has_opted_in_is_let_through(backup: Stubber, tmp_path: Path) -> None:
    answer(backup, aurora=True)
    check_backups(environment(tmp_path, 'profile = "production"'))
    backup.assert_no_pending_responses()


def test_an_account_that_has_not_opted_in_is_told_how(backup: Stubber, tmp_path: Path) -> None:
    answer(backup, aurora=False)
    with pytest.raises(UserError, match=r"us-east-1 --resource-type-opt-in-preference Aurora=true"):
        check_backups(environment(tmp_path, 'profile = "production"'))


def test_an_environment_without_a_backup_plan_does_not_ask(backup: Stubber, tmp_path: Path) -> None:
    check_backups(environment(tmp_path, 'profile = "dev"'))
    backup.assert_no_pending_responses()


def test_it_is_asked_before_anything_is_planned(
    backup: Stubber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(backup, aurora=False)
    monkeypatch.setattr(planning, "check_zones", lambda _: None)
    with pytest.raises(UserError, match="has not opted in"):
        planning._checked(environment(tmp_path, 'profile = "production"'))
