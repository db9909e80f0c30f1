"""Resources that an option created in another region can be removed without the option."""

import json
import os
from collections.abc import Callable

import pytest

from infra.commands import plan
from infra.config.environment import load_environment
from tests.support.emulator import Emulator


def test_a_plan_can_remove_what_other_regions_had(
    aws: Emulator,
    settings: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    # Neither `backup.cross_region_copy` nor `database.global_regions`.
    settings('profile = "dev"')
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "left")
    environment = load_environment(os.environ)
    aliases = ("copy", "us-east-2", "us-west-2")
    provider = 'provider["registry.terraform.io/hashicorp/aws"]'
    state = environment.local_state_file(*environment.stack_names())
    state.parent.mkdir(parents=True)
    state.write_text(
        json.dumps(
            {
                "version": 4,
                "terraform_version": "1.10.0",
                "serial": 1,
                "lineage": "left",
                "outputs": {},
                "resources": [
                    {
                        "mode": "managed",
                        "type": "aws_kms_key",
                        "name": f"of-{alias}",
                        "provider": f"{provider}.{alias}",
                        "instances": [{"schema_version": 0, "attributes": {"id": alias}}],
                    }
                    for alias in aliases
                ],
            }
        )
    )
    plan.main(["--", "-refresh=false", "-no-color"])
    printed = capfd.readouterr().out
    for alias in aliases:
        assert f"aws_kms_key.of-{alias} will be destroyed" in printed
    assert f"{len(aliases)} to destroy" in printed
