import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cli.errors import UserError
from shared.naming import (
    ENVIRONMENT_SUFFIX_MAX,
    REGION_CODES,
    check_environment_suffix,
    check_regions,
    check_service_stage,
    service_stack_name,
    service_stage,
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


def test_a_previews_stack_is_named_for_its_stage_as_well() -> None:
    stack = service_stack_name("us-east-1", "dev", "pr-42")
    assert stack == "trading-platform-service-useast1-dev--pr-42"
    assert service_stage(stack, "us-east-1", "dev") == "pr-42"


@pytest.mark.parametrize(
    ("stack", "region", "environment"),
    [
        ("trading-platform-service-useast1-dev", "us-east-1", "dev"),
        ("trading-platform-service-useast1-dev-pr-42", "us-east-1", "dev"),
        ("trading-platform-service-useast1-dev--pr-42", "us-west-2", "dev"),
        ("trading-platform-service-useast1-dev--pr-42", "us-east-1", "de"),
        ("payroll", "us-east-1", "dev"),
    ],
)
def test_other_stacks_are_no_previews_of_the_environment(
    stack: str, region: str, environment: str
) -> None:
    assert service_stage(stack, region, environment) == ""


NAMES = st.from_regex(r"[a-z]{1,2}(-?[a-z0-9]{1,2}){0,2}", fullmatch=True)


@given(NAMES, st.just("") | NAMES, NAMES, st.just("") | NAMES)
def test_no_two_copies_of_the_service_share_a_stack(
    environment: str, stage: str, other: str, other_stage: str
) -> None:
    names = {
        service_stack_name("us-east-1", check_environment_suffix(e), check_service_stage(s))
        for e, s in ((environment, stage), (other, other_stage))
    }
    assert len(names) == len({(environment, stage), (other, other_stage)})


def test_no_stage_is_the_environments_own_service() -> None:
    assert check_service_stage("") == ""


@pytest.mark.parametrize("stage", ["PR-42", "42", "pr--42", "-", "pr_42", "x" * 21, "pr-42/*"])
def test_a_stage_that_some_aws_name_does_not_take_is_refused(stage: str) -> None:
    with pytest.raises(UserError, match="SERVICE_STAGE") as error:
        check_service_stage(stage)
    assert "\n" not in str(error.value)
