from ipaddress import IPv4Network
from itertools import combinations
from pathlib import Path

import pytest

from infra.config import RegionConfig, load_environment
from infra.naming import bucket_name, key_alias, resource_name
from shared.errors import UserError
from shared.naming import ENVIRONMENT_SUFFIX_MAX, REGION_CODES


def test_without_variables_it_is_dev_in_one_region() -> None:
    environment = load_environment({})
    assert environment.stack_names() == ("trading-platform-useast1-dev",)
    assert environment.state_dir.name == ".state"
    assert environment.out_dir.parts[-2:] == ("infra", "cdktf.out")


def test_variables_choose_environment_regions_and_folders(tmp_path: Path) -> None:
    environment = load_environment(
        {
            "ENVIRONMENT_SUFFIX": "qa",
            "REGIONS": "us-east-1,us-east-2,us-west-2",
            "STATE_DIR": str(tmp_path / "state"),
            "CDKTF_OUTDIR": str(tmp_path / "out"),
        }
    )
    assert environment.stack_names() == (
        "trading-platform-useast1-qa",
        "trading-platform-useast2-qa",
        "trading-platform-uswest2-qa",
    )
    assert environment.state_dir == tmp_path / "state"
    assert environment.out_dir == tmp_path / "out"


@pytest.mark.parametrize(
    "variables", [{"ENVIRONMENT_SUFFIX": "Bad Name"}, {"REGIONS": "mars-north-1"}]
)
def test_values_that_cannot_be_used_are_refused(variables: dict[str, str]) -> None:
    with pytest.raises(UserError):
        load_environment(variables)


def test_no_two_subnets_of_any_two_regions_overlap() -> None:
    letters = "abcdef"
    subnets = [
        IPv4Network(cidr)
        for region in REGION_CODES
        for zone in RegionConfig(region, letters).zones
        for cidr in (zone.public_cidr, zone.private_cidr)
    ]
    assert len(subnets) == len(REGION_CODES) * len(letters) * 2
    assert not any(one.overlaps(other) for one, other in combinations(subnets, 2))


@pytest.mark.parametrize("region", REGION_CODES)
def test_subnets_lie_in_their_regions_network(region: str) -> None:
    network = IPv4Network(RegionConfig(region).cidr)
    for zone in RegionConfig(region, "abcdef").zones:
        assert IPv4Network(zone.public_cidr).subnet_of(network)
        assert IPv4Network(zone.private_cidr).subnet_of(network)


def test_a_further_zone_leaves_the_others_addresses_alone() -> None:
    assert RegionConfig("us-east-1", "abc").zones[:2] == RegionConfig("us-east-1", "ab").zones
    assert RegionConfig("us-east-1", "bc").zones[0] == RegionConfig("us-east-1", "abc").zones[1]


@pytest.mark.parametrize("region", REGION_CODES)
def test_every_name_fits_with_the_longest_suffix(region: str) -> None:
    suffix = "x" * ENVIRONMENT_SUFFIX_MAX
    assert len(bucket_name(region, suffix, "data", "0" * 12)) <= 63
    assert len(resource_name("cluster", region, suffix)) <= 63


def test_a_name_over_the_limit_is_an_error_and_not_cut() -> None:
    with pytest.raises(ValueError, match="63 characters"):
        resource_name("cluster", "us-east-1", "x" * 50)
    with pytest.raises(ValueError, match="63 characters"):
        bucket_name("us-east-1", "x" * 30, "data", "${data.account.id}")


def test_a_buckets_name_carries_the_account_even_as_an_expression() -> None:
    assert (
        bucket_name("us-east-1", "dev", "data", "${data.account.id}")
        == "trading-platform-data-${data.account.id}-useast1-dev"
    )


def test_the_key_alias_has_the_specified_form() -> None:
    assert key_alias("us-west-2", "qa") == "alias/trading-us-west-2-qa"
