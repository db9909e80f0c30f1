"""The sections that people edit in `infra/environments/*.toml`. The defaults are `standard`'s."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, model_validator

from infra.config.aurora import (
    ENGINE_VERSIONS,
    LTS_VERSION,
    RESERVED_USERS,
    RESERVED_WORDS,
    SCALES_TO_ZERO_FROM,
    SYSTEM_SCHEMAS,
    version_number,
)
from infra.config.capacity import PROVISIONED, Capacity, connection_budget, serverless_capacity
from shared.regions import REGIONS
from shared.validation import OneOf, Section

_VPC_PREFIX = 16
_AURORA_ZONES_MIN = 2
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.configuration.requirements.html
_GLOBAL_REGIONS_MIN = 2
_GLOBAL_ACU_MIN = 8
_INSTANCES_MAX = 16
_SHORTEST_RECOVERY_DAYS = 7
# https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html
_SHORTEST_WINDOW_MINUTES = 30
# RFC 1918. AWS itself uses other ranges that are not public: link-local, loopback, 100.64.0.0/10.
# https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
_PRIVATE = tuple(
    IPv4Network(range_) for range_ in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)

_TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
_DAY = "(mon|tue|wed|thu|fri|sat|sun)"
_LETTERS = sorted({letter for region in REGIONS.values() for letter in region.zones})
_ZoneLetter = Annotated[str, OneOf(_LETTERS)]
_RegionName = Annotated[str, OneOf(REGIONS)]
# TOML has lists, and a frozen section keeps tuples.
_List = Field(strict=False)


class RegionOptions(Section):
    """One region, where it differs from the table of regions."""

    cidr: Annotated[str, Field(pattern=r"^([0-9./]+)?$", examples=["10.10.0.0/16"])] = ""
    backup_region: Annotated[str, OneOf(REGIONS)] = ""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.cidr:
            return self
        try:
            network = IPv4Network(self.cidr)
        except ValueError as error:
            raise ValueError(f"cidr {self.cidr!r}: {error}") from None
        private = any(network.subnet_of(range_) for range_ in _PRIVATE)
        if network.prefixlen != _VPC_PREFIX or not private:
            raise ValueError(
                f"cidr {self.cidr!r}: use a /{_VPC_PREFIX} of 10.0.0.0/8, 172.16.0.0/12 or "
                "192.168.0.0/16"
            )
        return self


class NetworkConfig(Section):
    """The VPC of each region."""

    zones: Annotated[tuple[_ZoneLetter, ...], _List] = ("a", "b")
    nat: Literal["single", "per-az", "none"] = "single"
    interface_endpoints: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.zones)) < len(self.zones) or len(self.zones) < _AURORA_ZONES_MIN:
            raise ValueError(
                f"zones {list(self.zones)}: list at least {_AURORA_ZONES_MIN} distinct zones; "
                "Aurora requires them"
            )
        if self.nat == "none" and not self.interface_endpoints:
            raise ValueError(
                'nat "none": needs interface_endpoints = true, because functions must reach the '
                "APIs of AWS"
            )
        return self


class StorageConfig(Section):
    """The data bucket: how long it keeps objects and replaced versions, in days."""

    expiration_days: Annotated[int, Field(ge=1, le=3650)] = 90
    noncurrent_days: Annotated[int, Field(ge=1, le=3650)] = 30
    access_logging: bool = False


def _window(key: str, text: str) -> tuple[int, int]:
    """Start and end of a window within one day, in minutes since 0:00 UTC."""
    (*start_day, hour, minute), (*end_day, end_hour, end_minute) = (
        time.split(":") for time in text.split("-")
    )
    start, end = int(hour) * 60 + int(minute), int(end_hour) * 60 + int(end_minute)
    if start_day != end_day or start > end:
        raise ValueError(f"{key} {text!r}: start and end on the same day, in UTC")
    if end - start < _SHORTEST_WINDOW_MINUTES:
        raise ValueError(f"{key} {text!r}: use at least {_SHORTEST_WINDOW_MINUTES} minutes")
    return start, end


@dataclass(frozen=True)
class Running:
    """What a database still runs on, where its file asks for something else."""

    engine_version: str = ""
    capacity: Capacity | None = None
    connection_budget: int | None = None


class DatabaseConfig(Section):
    """The Aurora MySQL cluster: one writer and `readers`, provisioned or serverless."""

    # An LTS version: the longest support without a minor upgrade.
    engine_version: Annotated[str, OneOf(ENGINE_VERSIONS)] = LTS_VERSION
    serverless: bool = False
    instance_class: Annotated[str, OneOf(PROVISIONED)] = "db.r5.large"
    # In ACUs. With a minimum of 0, an instance pauses `auto_pause_seconds` after the last
    # connection has closed.
    min_capacity: Annotated[float, Field(ge=0, le=256, multiple_of=0.5)] = 0.5
    max_capacity: Annotated[float, Field(ge=1, le=256, multiple_of=0.5)] = 8
    auto_pause_seconds: Annotated[int, Field(ge=300, le=86_400)] = 300
    readers: Annotated[int, Field(ge=0, le=15)] = 2
    proxy: bool = False
    # The services' share of the writer's connections. The rest is for everyone else.
    connection_share_percent: Annotated[int, Field(ge=10, le=90)] = 80
    backup_retention_days: Annotated[int, Field(ge=1, le=35)] = 7
    # UTC: at night in all regions, and outside the exchanges' hours.
    backup_window: Annotated[str, Field(pattern=f"^{_TIME}-{_TIME}$", examples=["07:00-08:00"])] = (
        "07:00-08:00"
    )
    maintenance_window: Annotated[
        str,
        Field(
            pattern=f"^{_DAY}:{_TIME}-{_DAY}:{_TIME}$",
            examples=["sun:08:30-sun:09:30"],
        ),
    ] = "sun:08:30-sun:09:30"
    performance_insights: bool = True
    enhanced_monitoring_seconds: Annotated[int, OneOf((0, 1, 5, 10, 15, 30, 60))] = 60
    # The regions of one Aurora Global Database, the primary one first. If it is empty, each region
    # has a database of its own.
    global_regions: Annotated[tuple[_RegionName, ...], _List] = ()
    # RDS does not rotate the master password of a global database. Raise the number to change it.
    master_password_version: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    name: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$", examples=["trading"])] = "trading"
    master_username: Annotated[
        str, Field(pattern="^[a-z][a-z0-9_]{0,15}$", examples=["platform_admin"])
    ] = "platform_admin"

    _running: Running = PrivateAttr(default_factory=Running)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.serverless and self.min_capacity > self.max_capacity:
            raise ValueError(
                f"min_capacity {self.min_capacity:g}: use no more than max_capacity, "
                f"{self.max_capacity:g}"
            )
        if self.proxy and self.pauses:
            raise ValueError(
                "proxy true: needs min_capacity above 0, because a proxy's connections keep the "
                "database from pausing"
            )
        # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_DatabaseInsights.Engines.html
        if self.performance_insights and self._class.startswith("db.t3."):
            raise ValueError(
                f"performance_insights true: {self.instance_class} does not support it; use false "
                "or another instance_class"
            )
        if self.pauses and version_number(self.engine_version) < version_number(
            SCALES_TO_ZERO_FROM
        ):
            raise ValueError(
                f"min_capacity 0: {self.engine_version} cannot pause; use 0.5 or more, or an "
                f"engine_version from {SCALES_TO_ZERO_FROM} on"
            )
        self._check_names()
        self._check_windows()
        if self.global_regions:
            self._check_global()
        return self

    @property
    def pauses(self) -> bool:
        """Whether idle instances stop."""
        return self.serverless and self.min_capacity == 0

    def running_on(self, running: Running) -> "DatabaseConfig":
        """The options as they are while the database still runs on `running`."""
        version = running.engine_version or self.engine_version
        options = self.model_copy(update={"engine_version": version})
        options._running = running
        return options

    @property
    def capacity(self) -> Capacity:
        """What each instance can hold."""
        if self._running.capacity:
            return self._running.capacity
        if self.serverless:
            return serverless_capacity(self.max_capacity)
        return PROVISIONED[self.instance_class]

    @property
    def connection_budget(self) -> int:
        """How many functions may run concurrently, each with its own connection."""
        budget = connection_budget(self.capacity, self.connection_share_percent, proxy=self.proxy)
        limit = self._running.connection_budget
        return budget if limit is None else min(budget, limit)

    def idle_keys(self) -> Mapping[str, str]:
        """See `Section`."""
        idle = dict[str, str]()
        if self.serverless:
            idle["instance_class"] = "serverless = true takes the capacity from max_capacity"
        else:
            for key in ("min_capacity", "max_capacity", "auto_pause_seconds"):
                idle[key] = "it needs serverless = true"
        if not self.global_regions:
            idle |= {"master_password_version": "it needs global_regions"}
        if not self.pauses:
            idle["auto_pause_seconds"] = "it needs serverless = true with min_capacity = 0"
        return idle

    @property
    def _class(self) -> str:
        return "db.serverless" if self.serverless else self.instance_class

    def _check_global(self) -> None:
        regions = list(self.global_regions)
        if len(set(regions)) < len(regions) or len(regions) < _GLOBAL_REGIONS_MIN:
            raise ValueError(
                f"global_regions {regions}: list at least {_GLOBAL_REGIONS_MIN} distinct "
                "regions, the primary one first"
            )
        most = _INSTANCES_MAX - len(regions)
        if self.readers > most:
            raise ValueError(
                f"readers {self.readers}: a global database of {len(regions)} regions has at most "
                f"{most} in the primary one"
            )
        if self.proxy:
            raise ValueError(
                "proxy true: remove it or global_regions; a proxy needs a writer in its own region"
            )
        if self.serverless and self.min_capacity < _GLOBAL_ACU_MIN:
            raise ValueError(
                f"min_capacity {self.min_capacity:g}: a global database needs {_GLOBAL_ACU_MIN} or "
                "more"
            )
        if self._class.startswith("db.t"):
            raise ValueError(
                f"instance_class {self.instance_class}: a global database needs a memory-optimized "
                "one, as in db.r6g.large"
            )

    def _check_names(self) -> None:
        if self.name in SYSTEM_SCHEMAS | RESERVED_WORDS:
            raise ValueError(f"name {self.name!r}: MySQL reserves it; use another, as in trading")
        if self.master_username in RESERVED_USERS | RESERVED_WORDS:
            raise ValueError(
                f"master_username {self.master_username!r}: it is reserved; use another, as in "
                "platform_admin"
            )

    def _check_windows(self) -> None:
        backup = _window("backup_window", self.backup_window)
        maintenance = _window("maintenance_window", self.maintenance_window)
        # AWS rejects windows that overlap.
        if backup[0] < maintenance[1] and maintenance[0] < backup[1]:
            raise ValueError("backup_window: move it, because it overlaps maintenance_window")


class BackupConfig(Section):
    """AWS Backup: its backups outlive the cluster, which the cluster's own do not."""

    plan: bool = False
    retention_days: Annotated[int, Field(ge=1, le=3650)] = 35
    cross_region_copy: bool = False

    def idle_keys(self) -> Mapping[str, str]:
        """See `Section`."""
        if self.plan:
            return {}
        return dict.fromkeys(("retention_days", "cross_region_copy"), "it needs plan = true")


class ObservabilityConfig(Section):
    """Who gets the alarms, and how long logs are kept."""

    alarm_email: Annotated[
        str, Field(pattern=r"^([^@\s]+@[^@\s]+\.[^@\s]+)?$", examples=["ops@example.com"])
    ] = ""
    log_retention_days: Annotated[
        int, OneOf((1, 3, 5, 7, 14, 30, 60, 90, 180, 365, 731, 1827, 3653))
    ] = 30


class ProtectionConfig(Section):
    """What protects the data from mistakes.

    With `prevent_destroy`, Terraform and AWS refuse to delete the data. Deleted secrets can be
    restored for `recovery_days`.
    """

    prevent_destroy: bool = False
    final_snapshot: bool = True
    recovery_days: Annotated[int, Field(ge=0, le=30)] = 0

    @model_validator(mode="after")
    def _check(self) -> Self:
        if 0 < self.recovery_days < _SHORTEST_RECOVERY_DAYS:
            raise ValueError(
                f"recovery_days {self.recovery_days}: use 0, or from "
                f"{_SHORTEST_RECOVERY_DAYS} to 30"
            )
        return self

    @property
    def key_deletion_days(self) -> int:
        """For how many days the deletion of a KMS key can be cancelled."""
        return max(self.recovery_days, _SHORTEST_RECOVERY_DAYS)


class Settings(Section):
    """All sections."""

    network: NetworkConfig = NetworkConfig()
    storage: StorageConfig = StorageConfig()
    database: DatabaseConfig = DatabaseConfig()
    backup: BackupConfig = BackupConfig()
    observability: ObservabilityConfig = ObservabilityConfig()
    protection: ProtectionConfig = ProtectionConfig()
