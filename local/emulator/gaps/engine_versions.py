"""Versions of Aurora MySQL.

AWS: offers a new version every few weeks.
ministack: has the versions of one day, and refuses newer ones.
Here: it has those that the data platform accepts as well. Remove once ministack has them all.
"""

from __future__ import annotations

from ministack.services import rds

from infra.config.aurora import ENGINE_VERSIONS

_FAMILY = "aurora-mysql8.0"


def install() -> None:
    """Add the versions that are missing."""
    missing = [v for v in ENGINE_VERSIONS if v not in rds.AURORA_MYSQL_ENGINE_VERSION_SET]
    rds.AURORA_MYSQL_ENGINE_VERSIONS.extend((version, _FAMILY) for version in missing)
    rds.AURORA_MYSQL_ENGINE_VERSION_SET.update(missing)
