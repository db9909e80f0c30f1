"""What an option has created can be planned without the option."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from infra.commands import plan
from infra.config.environment import load_environment
from infra.gate.obstacles import GLOBAL_WAY
from tests.support.emulator import Emulator

PROVIDER = 'provider["registry.terraform.io/hashicorp/aws"]'


@pytest.fixture
def deployed(
    aws: Emulator, settings: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """Writes resources into the state of an environment whose file has no such options."""
    # Neither `backup.cross_region_copy` nor `database.global_regions`.
    settings('profile = "dev"')
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "left")

    def write(resources: Sequence[Mapping[str, Any]]) -> None:
        environment = load_environment(os.environ)
        state = environment.local_state_file(*environment.stack_names())
        state.parent.mkdir(parents=True)
        document = {"version": 4, "terraform_version": "1.10.0", "serial": 1, "lineage": "left"}
        state.write_text(json.dumps({**document, "outputs": {}, "resources": resources}))

    return write


def resource(
    type_: str, name: str, attributes: Mapping[str, Any], provider: str = PROVIDER
) -> Mapping[str, Any]:
    instance = {"schema_version": 0, "attributes": attributes}
    of = {"mode": "managed", "type": type_, "name": name, "provider": provider}
    return {**of, "instances": [instance]}


def test_a_plan_can_remove_what_other_regions_had(
    deployed: Callable[[Sequence[Mapping[str, Any]]], None], capfd: pytest.CaptureFixture[str]
) -> None:
    aliases = ("copy", "us-east-2", "us-west-2")
    deployed(
        [
            resource("aws_kms_key", f"of-{alias}", {"id": alias}, f"{PROVIDER}.{alias}")
            for alias in aliases
        ]
    )
    plan.main(["--", "-refresh=false", "-no-color"])
    printed = capfd.readouterr().out
    for alias in aliases:
        assert f"aws_kms_key.of-{alias} will be destroyed" in printed
    assert f"{len(aliases)} to destroy" in printed


def test_to_leave_a_global_database_is_refused_with_what_works(
    deployed: Callable[[Sequence[Mapping[str, Any]]], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """Such a cluster has no master secret that RDS manages, which the plan publishes."""
    cluster = "trading-platform-useast1-left"
    database = "trading-platform-global-left"
    key = "arn:aws:kms:us-east-1:000000000000:key/1"
    deployed(
        [
            resource("aws_rds_global_cluster", "world", {"id": database}),
            resource(
                "aws_kms_key",
                "encryption_key_EEB70057",
                {
                    "id": "1",
                    "arn": key,
                    "customer_master_key_spec": "SYMMETRIC_DEFAULT",
                    "key_id": "1",
                    "key_usage": "ENCRYPT_DECRYPT",
                    "multi_region": False,
                },
            ),
            resource(
                "aws_rds_cluster",
                "database_cluster_FAF2FB92",
                {
                    "id": cluster,
                    "arn": f"arn:aws:rds:us-east-1:000000000000:cluster:{cluster}",
                    "cluster_identifier": cluster,
                    "cluster_resource_id": "cluster-1",
                    "endpoint": "writer",
                    "port": 3306,
                    "reader_endpoint": "reader",
                    "availability_zones": ["us-east-1a"],
                    "engine": "aurora-mysql",
                    "engine_mode": "provisioned",
                    "engine_version": "8.0.mysql_aurora.3.10.6",
                    "database_name": "trading",
                    "db_subnet_group_name": cluster,
                    "kms_key_id": key,
                    "master_username": "platform_admin",
                    "global_cluster_identifier": database,
                    "storage_encrypted": True,
                    "master_user_secret": [],
                },
            ),
        ]
    )
    plan.main(["--", "-refresh=false", "-no-color"])
    assert f"cannot work: aws_rds_global_cluster.world: {GLOBAL_WAY}" in capfd.readouterr().out
