"""Log groups."""

from constructs import Construct

from infra.constructs.resources import accept
from infra.provider.bindings import CloudwatchLogGroup

_YEAR_DAYS = 365


def encrypted_log_group(
    scope: Construct, id_: str, *, name: str, key_arn: str, retention_days: int
) -> CloudwatchLogGroup:
    """A log group under the environment's key that keeps events for `retention_days`."""
    log_group = CloudwatchLogGroup(
        scope, id_, name=name, kms_key_id=key_arn, retention_in_days=retention_days
    )
    if retention_days < _YEAR_DAYS:
        accept(
            log_group,
            "CKV_AWS_338",
            "observability.log_retention_days is a year in production; elsewhere, logs are for "
            "debugging",
        )
    return log_group
