"""How the profiles differ. `standard` is the shape that the platform was specified with."""

from collections.abc import Mapping
from typing import Any

from infra.config.options import Settings
from shared.validation import read_section, refuse_idle_keys

# The profile of environments where real trades are booked.
PRODUCTION = "production"
DEFAULT_PROFILE = "standard"

# Each profile's options where they differ from the defaults, by section.
PROFILES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # The cheapest that works: a database that pauses, and no second instance to fail over to.
    "dev": {
        "database": {
            "serverless": True,
            "min_capacity": 0,
            "max_capacity": 4,
            "readers": 0,
            "backup_retention_days": 1,
            "performance_insights": False,
            "enhanced_monitoring_seconds": 0,
        },
        "observability": {"log_retention_days": 7},
        "protection": {"final_snapshot": False},
    },
    "standard": {},
    # Survives the loss of a zone, keeps old backups, and refuses to delete data.
    PRODUCTION: {
        "network": {"nat": "per-az"},
        "storage": {"access_logging": True},
        "database": {"backup_retention_days": 35},
        "backup": {"plan": True, "cross_region_copy": True},
        "observability": {"log_retention_days": 365},
        "protection": {"prevent_destroy": True, "recovery_days": 30},
    },
}


def settings_of(
    profile: str, changes: Mapping[str, Any] | None = None, where: str = ""
) -> Settings:
    """The profile's settings with `changes`, by section. `where` starts each complaint.

    Raises:
        UserError: a change is not allowed or has no effect.
    """
    own, changes = PROFILES[profile], changes or {}
    changed = {
        section: {**own.get(section, {}), **table} if isinstance(table, Mapping) else table
        for section, table in changes.items()
    }
    settings = read_section(Settings, {**own, **changed}, where)
    for section, table in changes.items():
        refuse_idle_keys(getattr(settings, section), table, f"{where}{section}.")
    return settings
