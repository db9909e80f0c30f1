"""What a plan loses: data that nothing can bring back after the apply."""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.gate.changes import Change, Values

# What is lost with each type of resource.
CONTENTS: Mapping[str, str] = {
    "aws_backup_vault": "the recovery points in it",
    "aws_cloudwatch_log_group": "the logs in it",
    "aws_kms_key": "all that it encrypts, as soon as AWS deletes it",
    "aws_rds_cluster": "all trades in it",
    "aws_rds_global_cluster": "the database of all its regions",
    "aws_s3_bucket": "the objects in it",
    "aws_secretsmanager_secret": "the password in it",
}
# These backups stop. A replaced plan continues its backups.
_STOPPED: Mapping[str, str] = {
    "aws_backup_plan": "the daily backups",
    "aws_backup_selection": "the daily backups of the cluster",
}
# How many days data stays, by type and attribute, and what a smaller number deletes.
_DAYS: Mapping[tuple[str, str], str] = {
    ("aws_rds_cluster", "backup_retention_period"): "the backups",
    ("aws_cloudwatch_log_group", "retention_in_days"): "the logs",
}
# S3 deletes what is older than its rule allows.
_EXPIRATIONS: Mapping[str, tuple[str, str]] = {
    "expiration": ("days", "the objects"),
    "noncurrent_version_expiration": ("noncurrent_days", "the replaced versions of objects"),
}
_LIFECYCLE = "aws_s3_bucket_lifecycle_configuration"
_FOR_EVER = 1_000_000


def lost(change: Change) -> Iterator[str]:
    """Describe what one change loses."""
    if change.goes and change.type in CONTENTS:
        yield CONTENTS[change.type]
    if change.action == "destroy" and change.type in _STOPPED:
        yield _STOPPED[change.type]
    if change.action != "change":
        return
    for (type_, name), what in _DAYS.items():
        # 0 means for ever.
        if type_ == change.type and change.alters(name):
            before, after = (side.get(name) or _FOR_EVER for side in (change.before, change.after))
            if after < before:
                yield f"{what} that are older than {after} days"
    if change.type == _LIFECYCLE:
        yield from _expired(change)


def _expired(change: Change) -> Iterator[str]:
    before, after = _expirations(change.before), _expirations(change.after)
    for key, days in after.items():
        if days < before.get(key, _FOR_EVER):
            yield f"{_EXPIRATIONS[key[1]][1]} that are older than {days} days"


def _expirations(values: Values) -> Mapping[tuple[str, str], int]:
    """Days until something expires, by rule and kind of expiration."""
    found: dict[tuple[str, str], int] = {}
    for rule in values.get("rule", []):
        for kind, (name, _) in _EXPIRATIONS.items():
            blocks: list[dict[str, Any]] = rule.get(kind) or []
            for block in blocks:
                if block.get(name):
                    found[rule["id"], kind] = int(block[name])
    return found
