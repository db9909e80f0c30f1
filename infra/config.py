"""What an environment is: the only module of `infra/` that reads the process environment."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from shared.naming import REGION_CODES, check_environment_suffix, check_regions, stack_name

_ROOT = Path(__file__).resolve().parent.parent

# One /16 per region, so that the regions' networks can be peered.
_REGION_CIDRS = {
    region: IPv4Network(f"10.{10 * number}.0.0/16")
    for number, region in enumerate(REGION_CODES, start=1)
}


@dataclass(frozen=True)
class Zone:
    """One Availability Zone and its two subnets."""

    name: str
    public_cidr: str
    private_cidr: str


@dataclass(frozen=True)
class RegionConfig:
    """One region of an environment."""

    region: str
    zone_letters: str = "ab"

    @property
    def cidr(self) -> str:
        """The VPC's address range."""
        return str(_REGION_CIDRS[self.region])

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The zones in use. A zone's addresses follow from its letter alone, so that a further
        zone changes nothing of the others."""
        network = _REGION_CIDRS[self.region]
        public = list(network.subnets(new_prefix=24))[:16]
        private = list(network.subnets(new_prefix=20))[1:]
        return tuple(
            Zone(f"{self.region}{letter}", str(public[place]), str(private[place]))
            for letter in self.zone_letters
            for place in [string.ascii_lowercase.index(letter)]
        )


@dataclass(frozen=True)
class DatabaseConfig:
    """The Aurora MySQL cluster."""

    # An LTS version: the longest support without a minor upgrade.
    engine_version: str = "8.0.mysql_aurora.3.10.0"
    instance_class: str = "db.r5.large"
    readers: int = 2
    name: str = "trading"
    master_username: str = "platform_admin"


@dataclass(frozen=True)
class EnvironmentConfig:
    """One environment: `dev`, `production`, …; one stack in each of its regions."""

    suffix: str
    regions: tuple[RegionConfig, ...]
    state_dir: Path
    out_dir: Path
    database: DatabaseConfig = DatabaseConfig()
    object_expiration_days: int = 90

    def stack_names(self) -> tuple[str, ...]:
        """The environment's stacks, in the order of its regions."""
        return tuple(stack_name(region.region, self.suffix) for region in self.regions)


def load_environment(variables: Mapping[str, str]) -> EnvironmentConfig:
    """Read an environment's configuration from environment variables.

    `ENVIRONMENT_SUFFIX` names the environment (default `dev`), `REGIONS` its regions (default
    `us-east-1`), `STATE_DIR` the folder of Terraform's state files (default `.state` in the
    project's folder) and `CDKTF_OUTDIR` that of the synthesized stacks (default
    `infra/cdktf.out`).

    Raises:
        UserError: a variable has a value that cannot be used.
    """
    suffix = check_environment_suffix(variables.get("ENVIRONMENT_SUFFIX", "dev"))
    regions = check_regions(variables.get("REGIONS", "us-east-1"))
    state_dir = Path(variables.get("STATE_DIR") or _ROOT / ".state")
    out_dir = Path(variables.get("CDKTF_OUTDIR") or _ROOT / "infra" / "cdktf.out")
    return EnvironmentConfig(
        suffix=suffix,
        regions=tuple(RegionConfig(region) for region in regions),
        state_dir=state_dir.resolve(),
        out_dir=out_dir.resolve(),
    )
