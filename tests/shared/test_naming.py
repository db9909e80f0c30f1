import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UserError
from shared.naming import (
    ENVIRONMENT_SUFFIX_MAX,
    REGION_CODES,
    check_environment_suffix,
    check_regions,
    service_stack_name,
    stack_name,
)


@pytest.mark.parametrize("suffix", ["dev", "d", "pr-42", "a1-b2-c3", "x" * ENVIRONMENT_SUFFIX_MAX])
def test_a_usable_suffix_comes_back_as_it_is(suffix: str) -> None:
    assert check_environment_suffix(suffix) == suffix


@pytest.mark.parametrize(
    "suffix",
    ["", "Dev", "1dev", "-dev", "dev-", "a--b", "a_b", "a b", "dev\n", "x" * 21, "ä", "../dev"],
)
def test_a_suffix_that_some_aws_name_does_not_take_is_refused(suffix: str) -> None:
    with pytest.raises(UserError, match="ENVIRONMENT_SUFFIX"):
        check_environment_suffix(suffix)


@given(st.text(string.ascii_lowercase + string.digits + "-", max_size=25))
def test_an_accepted_suffix_is_a_valid_end_of_an_rds_identifier(suffix: str) -> None:
    try:
        check_environment_suffix(suffix)
    except UserError:
        return
    assert "--" not in suffix
    assert not suffix.endswith("-")
    assert suffix[0].isalpha()


def test_regions_come_back_in_the_order_given() -> None:
    assert check_regions("us-west-2, us-east-1") == ("us-west-2", "us-east-1")


@pytest.mark.parametrize("regions", ["", ",", "eu-west-1", "us-east-1,us-east-9"])
def test_unknown_or_no_regions_are_refused_with_the_known_ones(regions: str) -> None:
    with pytest.raises(UserError, match="us-east-1, us-east-2, us-west-2"):
        check_regions(regions)


def test_a_region_given_twice_is_refused() -> None:
    with pytest.raises(UserError, match="once"):
        check_regions("us-east-1,us-east-1")


def test_stacks_are_named_for_region_and_environment() -> None:
    assert [stack_name(region, "dev") for region in REGION_CODES] == [
        "trading-platform-useast1-dev",
        "trading-platform-useast2-dev",
        "trading-platform-uswest2-dev",
    ]
    assert service_stack_name("us-east-1", "dev") == "trading-platform-service-useast1-dev"
