"""What an environment is: the only module of `infra/` that reads the process environment."""

import string
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from infra.config.capacity import PROVISIONED, Capacity, connection_budget, serverless_capacity
from infra.config.validation import FIXED, Between, Matching, OneOf, override
from shared.cli.errors import UserError
from shared.naming import REGION_CODES, check_environment_suffix, check_regions, stack_name

_ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(__file__).resolve().parents[1] / "environments"

# One /16 per region, so that the regions' networks can be peered.
_REGION_CIDRS = {
    region: f"10.{10 * number}.0.0/16" for number, region in enumerate(REGION_CODES, start=1)
}
_VPC_PREFIX = 16
# The letters of a region's zones: https://docs.aws.amazon.com/global-infrastructure/latest/regions/
_ZONE_LETTERS = {"us-east-1": "abcdef", "us-east-2": "abc", "us-west-2": "abcd"}
# Where a region's backups are copied to: another coast, or at least another power grid.
_BACKUP_REGIONS = {"us-east-1": "us-west-2", "us-east-2": "us-west-2", "us-west-2": "us-east-2"}

_AURORA_ZONES_MIN = 2
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database.configuration.requirements.html
_GLOBAL_REGIONS_MIN = 2
_GLOBAL_ACU_MIN = 8
_INSTANCES_MAX = 16
_SHORTEST_RECOVERY_DAYS = 7


@dataclass(frozen=True)
class Zone:
    """One Availability Zone and its two subnets."""

    name: str
    public_cidr: str
    private_cidr: str


@dataclass(frozen=True)
class RegionConfig:
    """One region of an environment; `cidr` and `backup_region` stand for other than the default."""

    region: str = field(metadata=FIXED)
    zone_letters: Collection[str] = field(default=("a", "b"), metadata=FIXED)
    cidr: Annotated[str, Matching(r"[\d./]+", "10.10.0.0/16")] = ""
    backup_region: Annotated[str, OneOf(REGION_CODES)] = ""

    def __post_init__(self) -> None:
        try:
            network = self.network
        except ValueError as error:
            raise ValueError(f"cidr {self.cidr!r}: {error}") from None
        if network.prefixlen != _VPC_PREFIX or not network.is_private:
            raise ValueError(
                f"cidr {self.cidr!r}: use a private /{_VPC_PREFIX}, as in 10.10.0.0/16"
            )
        if self.copy_region == self.region:
            raise ValueError("backup_region: copies are for when this region fails: name another")

    @property
    def network(self) -> IPv4Network:
        """The VPC's address range, a /16."""
        return IPv4Network(self.cidr or _REGION_CIDRS[self.region])

    @property
    def copy_region(self) -> str:
        """The region that copies of backups go to."""
        return self.backup_region or _BACKUP_REGIONS[self.region]

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The zones in use. A zone's addresses follow from its letter alone, so that a further
        zone changes nothing of the others."""
        public = list(self.network.subnets(new_prefix=24))[:16]
        private = list(self.network.subnets(new_prefix=20))[1:]
        return tuple(
            Zone(f"{self.region}{letter}", str(public[place]), str(private[place]))
            for letter in self.zone_letters
            for place in [string.ascii_lowercase.index(letter)]
        )


@dataclass(frozen=True)
class NetworkConfig:
    """The VPC of each region."""

    zones: Annotated[tuple[str, ...], OneOf("abcdef")] = ("a", "b")
    nat: Literal["single", "per-az", "none"] = "single"
    interface_endpoints: bool = False

    def __post_init__(self) -> None:
        if len(set(self.zones)) < len(self.zones) or len(self.zones) < _AURORA_ZONES_MIN:
            raise ValueError(
                f"zones {list(self.zones)}: name {_AURORA_ZONES_MIN} or more, each once: Aurora "
                "does not do with fewer"
            )
        if self.nat == "none" and not self.interface_endpoints:
            raise ValueError(
                'nat "none": needs interface_endpoints = true: functions reach the APIs of AWS '
                "through one or the other"
            )


@dataclass(frozen=True)
class StorageConfig:
    """The data bucket: how long objects and their replaced versions stay, in days."""

    expiration_days: Annotated[int, Between(1, 3650)] = 90
    noncurrent_days: Annotated[int, Between(1, 3650)] = 30
    access_logging: bool = False


@dataclass(frozen=True)
class DatabaseConfig:
    """The Aurora MySQL cluster: one writer and `readers`, provisioned or serverless."""

    # An LTS version: the longest support without a minor upgrade.
    engine_version: Annotated[
        str, Matching(r"8\.0\.mysql_aurora\.3\.\d{2}\.\d", "8.0.mysql_aurora.3.10.0")
    ] = "8.0.mysql_aurora.3.10.0"
    serverless: bool = False
    instance_class: Annotated[str, OneOf(PROVISIONED)] = "db.r5.large"
    # In ACUs; a minimum of 0 pauses the instances after `auto_pause_seconds` without a connection.
    min_capacity: Annotated[float, Between(0, 256)] = 0.5
    max_capacity: Annotated[float, Between(1, 256)] = 8
    auto_pause_seconds: Annotated[int, Between(300, 86_400)] = 300
    readers: Annotated[int, Between(0, 15)] = 2
    proxy: bool = False
    # Of the writer's connections, for the services; the rest is for everyone else.
    connection_share_percent: Annotated[int, Between(10, 90)] = 80
    backup_retention_days: Annotated[int, Between(1, 35)] = 7
    # UTC: at night in all regions, and outside the exchanges' hours.
    backup_window: Annotated[str, Matching(r"\d\d:\d\d-\d\d:\d\d", "07:00-08:00")] = "07:00-08:00"
    maintenance_window: Annotated[
        str, Matching(r"([a-z]{3}:\d\d:\d\d)-([a-z]{3}:\d\d:\d\d)", "sun:08:30-sun:09:30")
    ] = "sun:08:30-sun:09:30"
    performance_insights: bool = True
    enhanced_monitoring_seconds: Literal[0, 1, 5, 10, 15, 30, 60] = 60
    # The regions of one Aurora Global Database, the primary one first; if none are named, each
    # region has a database of its own.
    global_regions: Annotated[tuple[str, ...], OneOf(REGION_CODES)] = ()
    # RDS does not rotate the master password of a global database: a higher number does.
    master_password_version: Annotated[int, Between(1, 1_000_000)] = 1
    name: Annotated[str, Matching(r"[a-z][a-z0-9_]{0,63}", "trading")] = "trading"
    master_username: Annotated[str, Matching(r"[a-z][a-z0-9_]{0,15}", "platform_admin")] = (
        "platform_admin"
    )

    def __post_init__(self) -> None:
        if self.serverless and self.min_capacity > self.max_capacity:
            raise ValueError(
                f"min_capacity {self.min_capacity}: use no more than max_capacity, "
                f"{self.max_capacity}"
            )
        if any(acu * 2 % 1 for acu in (self.min_capacity, self.max_capacity)):
            raise ValueError("min_capacity and max_capacity: use steps of 0.5")
        if self.proxy and self.pauses:
            raise ValueError(
                "proxy true: needs min_capacity above 0: a proxy's connections keep the database "
                "from pausing"
            )
        # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_DatabaseInsights.Engines.html
        if self.performance_insights and self._class.startswith("db.t3."):
            raise ValueError(
                f"performance_insights true: {self.instance_class} does not have it; use false "
                "or another instance_class"
            )
        self._check_windows()
        if self.global_regions:
            self._check_global()

    @property
    def pauses(self) -> bool:
        """Whether the instances stop when nobody is connected."""
        return self.serverless and self.min_capacity == 0

    @property
    def capacity(self) -> Capacity:
        """What each instance can hold."""
        if self.serverless:
            return serverless_capacity(self.max_capacity)
        return PROVISIONED[self.instance_class]

    @property
    def connection_budget(self) -> int:
        """How many functions may run at a time; see `infra.config.capacity.connection_budget`."""
        return connection_budget(self.capacity, self.connection_share_percent, proxy=self.proxy)

    def idle_keys(self) -> Mapping[str, str]:
        """Keys without effect, and why."""
        idle = {}
        if self.serverless:
            idle["instance_class"] = "serverless = true takes its capacity from max_capacity"
        else:
            for key in ("min_capacity", "max_capacity", "auto_pause_seconds"):
                idle[key] = "it is for serverless = true"
        if not self.global_regions:
            reason = "it is for global_regions"
            idle["master_password_version"] = reason
        if not self.pauses:
            idle["auto_pause_seconds"] = "it is for serverless = true with min_capacity = 0"
        return idle

    @property
    def _class(self) -> str:
        return "db.serverless" if self.serverless else self.instance_class

    def _check_global(self) -> None:
        regions = list(self.global_regions)
        if len(set(regions)) < len(regions) or len(regions) < _GLOBAL_REGIONS_MIN:
            raise ValueError(
                f"global_regions {regions}: name {_GLOBAL_REGIONS_MIN} or more, each once, the "
                "primary one first"
            )
        most = _INSTANCES_MAX - len(regions)
        if self.readers > most:
            raise ValueError(
                f"readers {self.readers}: a global database of {len(regions)} regions has no more "
                f"than {most} in the primary one"
            )
        if self.proxy:
            raise ValueError(
                "proxy true: not with global_regions: it would have no writer to lead to where "
                "another region writes"
            )
        if self.serverless and self.min_capacity < _GLOBAL_ACU_MIN:
            raise ValueError(
                f"min_capacity {self.min_capacity}: a global database needs {_GLOBAL_ACU_MIN} or "
                "more"
            )
        if self._class.startswith("db.t"):
            raise ValueError(
                f"instance_class {self.instance_class}: a global database needs a memory-optimized "
                "one, as in db.r6g.large"
            )

    def _check_windows(self) -> None:
        # AWS refuses overlapping windows.
        backup = self.backup_window.split("-")
        maintenance = [time.partition(":")[2] for time in self.maintenance_window.split("-")]
        for name, (start, end) in (("backup", backup), ("maintenance", maintenance)):
            if not start < end <= "23:59":
                raise ValueError(f"{name}_window: let it start and end on the same day, in UTC")
        if backup[0] < maintenance[1] and maintenance[0] < backup[1]:
            raise ValueError("backup_window: let it not overlap with maintenance_window")


@dataclass(frozen=True)
class BackupConfig:
    """AWS Backup, beside the cluster's own backups: it outlives the cluster."""

    plan: bool = False
    retention_days: Annotated[int, Between(1, 3650)] = 35
    cross_region_copy: bool = False

    def idle_keys(self) -> Mapping[str, str]:
        """Keys without effect, and why."""
        if self.plan:
            return {}
        return dict.fromkeys(("retention_days", "cross_region_copy"), "it is for plan = true")


@dataclass(frozen=True)
class ObservabilityConfig:
    """Who is told of an alarm, and how long logs are kept."""

    alarm_email: Annotated[str, Matching(r"|[^@\s]+@[^@\s]+\.[^@\s]+", "ops@example.com")] = ""
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365, 731, 1827, 3653] = 30


@dataclass(frozen=True)
class ProtectionConfig:
    """What stands between the data and a mistake.

    `prevent_destroy` makes Terraform and AWS refuse to delete the data; secrets can be restored
    for `recovery_days`.
    """

    prevent_destroy: bool = False
    final_snapshot: bool = False
    recovery_days: Annotated[int, Between(0, 30)] = 0

    def __post_init__(self) -> None:
        if 0 < self.recovery_days < _SHORTEST_RECOVERY_DAYS:
            raise ValueError(
                f"recovery_days {self.recovery_days}: use 0, or from "
                f"{_SHORTEST_RECOVERY_DAYS} to 30"
            )

    @property
    def key_deletion_days(self) -> int:
        """How long the deletion of a KMS key can be called off."""
        return max(self.recovery_days, _SHORTEST_RECOVERY_DAYS)


@dataclass(frozen=True)
class Settings:
    """All that an environment's file can change, by section."""

    network: NetworkConfig = NetworkConfig()
    storage: StorageConfig = StorageConfig()
    database: DatabaseConfig = DatabaseConfig()
    backup: BackupConfig = BackupConfig()
    observability: ObservabilityConfig = ObservabilityConfig()
    protection: ProtectionConfig = ProtectionConfig()


# How the profiles differ. `standard` is the shape that the platform was specified with.
PROFILES: Mapping[str, Settings] = {
    # The cheapest that works: a database that pauses, and no second instance to fail over to.
    "dev": Settings(
        database=DatabaseConfig(
            serverless=True,
            min_capacity=0,
            max_capacity=4,
            readers=0,
            backup_retention_days=1,
            performance_insights=False,
            enhanced_monitoring_seconds=0,
        ),
        observability=ObservabilityConfig(log_retention_days=7),
    ),
    "standard": Settings(),
    # Loses a zone without losing the way out, and loses data to nobody's mistake.
    "production": Settings(
        network=NetworkConfig(nat="per-az"),
        storage=StorageConfig(access_logging=True),
        database=DatabaseConfig(backup_retention_days=35),
        backup=BackupConfig(plan=True, cross_region_copy=True),
        observability=ObservabilityConfig(log_retention_days=365),
        protection=ProtectionConfig(prevent_destroy=True, final_snapshot=True, recovery_days=30),
    ),
}
_DEFAULT_PROFILE = "standard"


@dataclass(frozen=True)
class EnvironmentConfig:
    """One environment: `dev`, `production`, …; one stack in each of its regions."""

    suffix: str
    regions: tuple[RegionConfig, ...]
    state_dir: Path
    out_dir: Path
    # Terraform's states are kept in S3, or else in files of `state_dir`.
    remote_state: bool = True
    profile: str = _DEFAULT_PROFILE
    settings: Settings = PROFILES[_DEFAULT_PROFILE]
    file: Path = ENVIRONMENTS

    def __post_init__(self) -> None:
        for region in self.regions:
            letters = _ZONE_LETTERS[region.region]
            if not set(region.zone_letters) <= set(letters):
                raise ValueError(
                    f"network.zones {list(region.zone_letters)}: {region.region} has the zones "
                    f"{', '.join(letters)}"
                )
        members = self.settings.database.global_regions
        for region in self.regions:
            if members and region.region not in members:
                raise ValueError(
                    f"database.global_regions {list(members)}: {region.region} is not among them, "
                    "but REGIONS names it"
                )
        for one, other in combinations(self.regions, 2):
            if one.network.overlaps(other.network):
                raise ValueError(
                    f"regions.{one.region}.cidr '{one.network}': it overlaps with that of "
                    f"{other.region}"
                )

    def stack_names(self) -> tuple[str, ...]:
        """The environment's stacks, in the order of its regions."""
        return tuple(stack_name(region.region, self.suffix) for region in self.regions)

    def waves(self) -> tuple[tuple[RegionConfig, ...], ...]:
        """The regions in the order of an apply; those of a wave go side by side.

        The secondary regions of a global database join what the primary one has made.
        """
        primary = self.settings.database.global_regions[:1]
        first = tuple(region for region in self.regions if region.region in primary)
        others = tuple(region for region in self.regions if region.region not in primary)
        return tuple(wave for wave in (first, others) if wave)

    def with_profile(self, profile: str) -> "EnvironmentConfig":
        """The same environment as the profile alone would make it: to compare profiles."""
        settings = PROFILES[profile]
        regions = (replace(region, zone_letters=settings.network.zones) for region in self.regions)
        return replace(self, profile=profile, settings=settings, regions=tuple(regions))

    def check_destroyable(self) -> None:
        """Do nothing if the environment may be destroyed.

        Raises:
            UserError: it is protected; the text says how to lift the protection.
        """
        if self.settings.protection.prevent_destroy:
            raise UserError(
                f"{self.suffix} is protected from being destroyed. To lift that, set "
                f"prevent_destroy = false under [protection] in {self.file}, run "
                "`make deploy-infra`, and then this again"
            )


def load_environment(variables: Mapping[str, str]) -> EnvironmentConfig:
    """Read an environment's configuration from environment variables and its file.

    `ENVIRONMENT_SUFFIX` names the environment (default `dev`), `REGIONS` its regions (default
    `us-east-1`), `STATE` where Terraform's states are kept (`s3`, the default, or `local`),
    `STATE_DIR` the folder of local ones (default `.state` in the project's folder) and
    `CDKTF_OUTDIR` that of the synthesized stacks (default `infra/cdktf.out`).

    The file is `infra/environments/<suffix>.toml`, or the one that `ENVIRONMENT_FILE` names.
    Without one, the environment has the profile `standard` as it is.

    Raises:
        UserError: a variable or a key has a value that cannot be used.
    """
    suffix = check_environment_suffix(variables.get("ENVIRONMENT_SUFFIX", "dev"))
    names = check_regions(variables.get("REGIONS", "us-east-1"))
    named_file = variables.get("ENVIRONMENT_FILE")
    file = Path(named_file or ENVIRONMENTS / f"{suffix}.toml")
    if named_file and not file.is_file():
        raise UserError(f"ENVIRONMENT_FILE {named_file}: there is no such file")
    document = _read(file)
    profile = document.pop("profile", _DEFAULT_PROFILE)
    if str(profile) not in PROFILES:
        raise UserError(f"{file}: profile {profile!r}: use one of {', '.join(PROFILES)}")
    regions = document.pop("regions", {})
    if not isinstance(regions, dict):
        raise UserError(f"{file}: regions {regions!r}: make it sections, as in [regions.us-east-1]")
    for region in regions:
        if region not in REGION_CODES:
            raise UserError(
                f"{file}: regions.{region}: there is no such region; use one of "
                f"{', '.join(REGION_CODES)}"
            )
    state = variables.get("STATE") or "s3"
    if state not in ("s3", "local"):
        raise UserError(f"STATE {state!r}: use s3 (the default) or local")
    settings = override(PROFILES[profile], document, f"{file}: ")
    try:
        return EnvironmentConfig(
            suffix=suffix,
            regions=tuple(
                override(
                    RegionConfig(name, settings.network.zones),
                    regions.get(name, {}),
                    f"{file}: regions.{name}.",
                )
                for name in names
            ),
            state_dir=Path(variables.get("STATE_DIR") or _ROOT / ".state").resolve(),
            out_dir=Path(variables.get("CDKTF_OUTDIR") or _ROOT / "infra" / "cdktf.out").resolve(),
            remote_state=state == "s3",
            profile=profile,
            settings=settings,
            file=file,
        )
    except ValueError as error:
        raise UserError(f"{file}: {error}") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not TOML: {error}") from None
