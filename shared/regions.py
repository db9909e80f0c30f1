"""The regions that the platform can run in. A new region is one row here, and its prices."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """What is known of one region.

    `code` stands for it in names of resources. `zones` are the letters of its zones. `cidr` is the
    default range of its VPC, a /16 that no other region has, so that the networks can be peered.
    `backup_region` is where its backups are copied to by default: far enough not to fail with it.
    """

    name: str
    code: str
    zones: str
    cidr: str
    backup_region: str


# Zones: https://docs.aws.amazon.com/global-infrastructure/latest/regions/
REGIONS: Mapping[str, Region] = {
    region.name: region
    for region in (
        Region("us-east-1", "useast1", "abcdef", "10.10.0.0/16", backup_region="us-west-2"),
        Region("us-east-2", "useast2", "abc", "10.20.0.0/16", backup_region="us-west-2"),
        Region("us-west-2", "uswest2", "abcd", "10.30.0.0/16", backup_region="us-east-2"),
    )
}
