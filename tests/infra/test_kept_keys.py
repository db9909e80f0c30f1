"""A destroy that leaves a snapshot keeps the snapshot's key."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.commands import destroy
from infra.commands.kept_keys import keys_kept
from infra.config.environment import EnvironmentConfig, load_environment
from shared.cli.errors import UserError
from tests.support.emulator import Emulator

REGIONS = "us-east-1,us-east-2"
KEYS = {
    "us-east-1": "alias/trading-us-east-1-kept",
    "us-east-2": "alias/trading-us-east-2-kept",
    "us-west-2": "alias/trading-copy-us-east-1-kept",
}


def environment(folder: Path, settings: str) -> EnvironmentConfig:
    file = folder / "environment.toml"
    file.write_text(settings)
    return load_environment(
        {"ENVIRONMENT_SUFFIX": "kept", "ENVIRONMENT_FILE": str(file), "REGIONS": REGIONS}
    )


def kms(region: str) -> Any:
    return boto3.client("kms", region_name=region)


@pytest.fixture
def keys(aws: Emulator) -> dict[str, str]:
    """A key with an alias in each region; us-east-2's copies have none yet."""
    made = {}
    for region, alias in KEYS.items():
        made[region] = kms(region).create_key()["KeyMetadata"]["KeyId"]
        kms(region).create_alias(AliasName=alias, TargetKeyId=made[region])
    return made


def destroyed(keys: dict[str, str]) -> None:
    """Treat the keys like `terraform destroy`."""
    for region, alias in KEYS.items():
        kms(region).delete_alias(AliasName=alias)
        kms(region).schedule_key_deletion(KeyId=keys[region], PendingWindowInDays=7)


def states(keys: dict[str, str]) -> set[str]:
    return {
        kms(region).describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
        for region, key in keys.items()
    }


def test_the_keys_of_what_a_destroy_leaves_behind_stay_usable(
    tmp_path: Path, keys: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = 'profile = "production"\n[protection]\nprevent_destroy = false\n'
    with keys_kept(environment(tmp_path, settings)):
        destroyed(keys)
        assert states(keys) == {"PendingDeletion"}
    assert states(keys) == {"Enabled"}
    said = capsys.readouterr().out
    assert all(key in said for key in keys.values())


def test_a_failed_destroy_keeps_the_keys_too(tmp_path: Path, keys: dict[str, str]) -> None:
    settings = 'profile = "production"\n[protection]\nprevent_destroy = false\n'

    def destroy() -> None:
        with keys_kept(environment(tmp_path, settings)):
            kms("us-east-1").schedule_key_deletion(KeyId=keys["us-east-1"], PendingWindowInDays=7)
            raise UserError("terraform destroy failed")

    with pytest.raises(UserError, match="terraform destroy failed"):
        destroy()
    assert states(keys) == {"Enabled"}
    destroyed(keys)


def test_make_destroy_infra_keeps_them(
    tmp_path: Path, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = environment(tmp_path, 'profile = "production"\n[protection]\nprevent_destroy = false\n')
    for name, value in (("FILE", str(own.file)), ("SUFFIX", "kept")):
        monkeypatch.setenv(f"ENVIRONMENT_{name}", value)
    monkeypatch.setenv("REGIONS", REGIONS)
    monkeypatch.setattr(destroy, "installed_terraform", nullcontext)
    monkeypatch.setattr(destroy, "check_destroy", lambda _: None)
    monkeypatch.setattr(destroy, "initialized", lambda *_: {})
    monkeypatch.setattr(destroy, "_destroy", lambda *_: destroyed(keys))
    destroy.main()
    assert states(keys) == {"Enabled"}


def test_without_a_final_snapshot_the_keys_go(tmp_path: Path, keys: dict[str, str]) -> None:
    with keys_kept(environment(tmp_path, "[protection]\nfinal_snapshot = false\n")):
        destroyed(keys)
    assert states(keys) == {"PendingDeletion"}
