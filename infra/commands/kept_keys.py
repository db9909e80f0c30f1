"""Keeps the keys of the backups that a destroy leaves behind."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3

from infra.config.environment import EnvironmentConfig
from infra.config.naming import key_alias
from shared.cli.aws import answering


@contextmanager
def keys_kept(environment: EnvironmentConfig) -> Iterator[None]:
    """Cancel the deletion of the environment's keys that a destroy inside the block schedules.

    It does so for an environment with `final_snapshot`: the snapshot and the automated backups can
    be restored as long as their key exists, and AWS deletes a key for good after 7 to 30 days. The
    alias goes, so that the next deploy creates a new key. The snapshot names its own.
    https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html

    Raises:
        UserError: KMS does not answer.
    """
    keys = list(_keys(environment)) if environment.settings.protection.final_snapshot else []
    try:
        yield
    finally:
        for region, key in keys:
            _keep(region, key)


def _keys(environment: EnvironmentConfig) -> Iterator[tuple[str, str]]:
    """The region and the id of each key that exists."""
    settings, suffix = environment.settings, environment.suffix
    names = {region.region for region in environment.regions} | {*settings.database.global_regions}
    aliases = [(region, key_alias(region, suffix)) for region in sorted(names)]
    if settings.backup.cross_region_copy:
        aliases += [
            (region.copy_region, key_alias(region.region, suffix, "copy"))
            for region in environment.regions
        ]
    for region, alias in aliases:
        kms = boto3.client("kms", region_name=region)
        with answering(region, "KMS"):
            try:
                yield region, kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
            except kms.exceptions.NotFoundException:
                continue


def _keep(region: str, key: str) -> None:
    kms = boto3.client("kms", region_name=region)
    with answering(region, "KMS"):
        found = kms.describe_key(KeyId=key)["KeyMetadata"]
        if found["KeyState"] == "PendingDeletion":
            kms.cancel_key_deletion(KeyId=key)
            kms.enable_key(KeyId=key)
            print(f"==> {region}: kept the key {found['Arn']}, which the backups need", flush=True)
