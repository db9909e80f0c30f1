"""Versions of Aurora MySQL.

AWS: adds a version every few weeks.
ministack: has a fixed list, and rejects newer versions.
Here: the versions that the data platform accepts are added. Remove once ministack has them all.
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
