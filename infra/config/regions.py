"""One region of an environment: its zones and their addresses."""

import string
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from infra.config.options import RegionOptions, Running
from shared.regions import REGIONS


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
    zone_letters: Collection[str] = ("a", "b")
    options: RegionOptions = field(default_factory=RegionOptions)
    running: Running = field(default_factory=Running)

    def __post_init__(self) -> None:
        known = REGIONS[self.region].zones
        if not set(self.zone_letters) <= set(known):
            raise ValueError(
                f"network.zones {list(self.zone_letters)}: {self.region} has the zones "
                f"{', '.join(known)}"
            )
        if self.copy_region == self.region:
            raise ValueError(
                f"regions.{self.region}.backup_region: name another region; copies are for the "
                "loss of this one"
            )

    @property
    def network(self) -> IPv4Network:
        """The VPC's address range, a /16."""
        return IPv4Network(self.options.cidr or REGIONS[self.region].cidr)

    @property
    def copy_region(self) -> str:
        """The region that backups are copied to."""
        return self.options.backup_region or REGIONS[self.region].backup_region

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The zones in use.

        A zone's letter alone decides its addresses, so adding a zone does not move the others.
        """
        public = list(self.network.subnets(new_prefix=24))[:16]
        private = list(self.network.subnets(new_prefix=20))[1:]
        return tuple(
            Zone(f"{self.region}{letter}", str(public[place]), str(private[place]))
            for letter in self.zone_letters
            for place in [string.ascii_lowercase.index(letter)]
        )
