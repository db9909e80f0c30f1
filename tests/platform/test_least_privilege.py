"""Both deployers at work with their own policies, on the platform with IAM enforced."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.config.place import Place
from infra.policies.infra_deployer import infra_deployer, infra_deployer_access
from infra.policies.service_boundary import boundary_arn
from tests.platform.conftest import ACCOUNT, REGION, Platform, as_user


@pytest.fixture(scope="module")
def platform_team(platform: Platform) -> Platform:
    place = Place(ACCOUNT, REGION, platform.environment)
    documents = [json.dumps(policy(place)) for policy in (infra_deployer, infra_deployer_access)]
    return as_user(platform, "platform-team", documents=documents)


def test_the_app_team_removes_and_makes_the_whole_service(
    app_team: Platform, platform: Platform
) -> None:
    app_team.make("destroy-service")
    app_team.make("deploy-service")
    assert "SUCCESS" in app_team.make("invoke").stdout
    # CodeDeploy checks no first version, so the release has called its check.
    place = Place(ACCOUNT, REGION, platform.environment)
    logs: Any = platform.client("logs")
    found = logs.filter_log_events(logGroupName=f"/aws/lambda/{place.service}/smoke-check")
    assert [e for e in found["events"] if e["message"].startswith("START")]


def test_the_app_team_can_neither_change_nor_destroy_the_data_platform(app_team: Platform) -> None:
    change = app_team.make("deploy-infra", check=False)
    assert change.returncode != 0
    assert "is not authorized to perform" in change.stdout
    destruction = app_team.make("destroy-infra", check=False)
    assert destruction.returncode != 0
    assert "uses this data platform: run `make destroy-service` first" in destruction.stdout


def test_the_app_team_cannot_delete_a_key_or_the_database(app_team: Platform) -> None:
    keys: Any = app_team.client("kms")
    databases: Any = app_team.client("rds")
    with pytest.raises(ClientError, match="explicit deny"):
        keys.schedule_key_deletion(KeyId="alias/trading-us-east-1-test")
    with pytest.raises(ClientError, match="explicit deny"):
        databases.delete_db_cluster(
            DBClusterIdentifier="trading-platform-useast1-test", SkipFinalSnapshot=True
        )


def test_the_platform_team_finds_nothing_to_change(platform_team: Platform) -> None:
    printed = platform_team.make("plan").stdout
    assert "No changes. Your infrastructure matches the configuration." in printed


def test_every_role_of_the_service_has_the_boundary(platform: Platform) -> None:
    iam: Any = platform.client("iam")
    place = Place(ACCOUNT, REGION, platform.environment)
    roles = [
        iam.get_role(RoleName=role["RoleName"])["Role"]
        for role in iam.list_roles()["Roles"]
        if role["RoleName"].startswith("trading-platform-service-")
        # The emulator cuts the names of roles.
        and "ApiGateway" not in role["RoleName"]
    ]
    assert roles
    for role in roles:
        assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary_arn(place)
