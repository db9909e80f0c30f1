from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from service.deploy.connections import (
    check_account_concurrency,
    check_reserved_concurrency,
    default_reservation,
    reserved_concurrency,
)
from shared.cli.errors import UserError


@pytest.mark.parametrize("reserved", [0, 1, 54])
def test_a_reservation_within_the_connection_budget_passes(reserved: int) -> None:
    check_reserved_concurrency(reserved, budget=54)


def test_a_reservation_above_the_connection_budget_is_refused_with_both_numbers() -> None:
    with pytest.raises(UserError, match=r"ReservedConcurrency 55: .* for 54 functions"):
        check_reserved_concurrency(55, budget=54)


def test_connections_that_others_have_reserved_are_not_given_twice() -> None:
    check_reserved_concurrency(2, budget=54, beside=52)
    with pytest.raises(
        UserError, match=r"for 54 functions at a time, 53 of them reserved by other"
    ):
        check_reserved_concurrency(2, budget=54, beside=53)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("{}", 0),
        ("{ReservedConcurrency: {Type: Number}}", 0),
        ("{ReservedConcurrency: {Type: Number, Default: 20}}", 20),
    ],
)
def test_the_templates_default_counts(tmp_path: Path, parameters: str, expected: int) -> None:
    template = tmp_path / "template.yaml"
    template.write_text(f"Parameters: {parameters}\n")
    assert reserved_concurrency(template, {}) == expected
    assert reserved_concurrency(template, {"ReservedConcurrency": "7"}) == 7


def test_a_reservation_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Parameters: {}\n")
    with pytest.raises(UserError, match="ReservedConcurrency '-1': use a whole number"):
        reserved_concurrency(template, {"ReservedConcurrency": "-1"})


def account_with(monkeypatch: pytest.MonkeyPatch, limit: int, unreserved: int) -> Stubber:
    """Lambda in an account with this limit of concurrent executions."""
    client = boto3.client(
        "lambda", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    monkeypatch.setattr(boto3, "client", lambda *_args, **_options: client)
    limits = {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": unreserved}
    stubber = Stubber(client)
    stubber.add_response("get_account_settings", {"AccountLimit": limits}, {})
    stubber.activate()
    return stubber


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    """Lambda in a new account, whose limit is 10 concurrent executions."""
    return account_with(monkeypatch, 10, 10)


@pytest.mark.parametrize(
    ("budget", "production", "limit", "unreserved", "held", "expected"),
    [
        # The database decides where the account allows more, and leaves some for the rest.
        (54, False, 1000, 1000, 0, 41),
        (400, True, 1000, 1000, 0, 396),
        # What is held already counts as free: releasing the same again changes nothing.
        (400, True, 500, 104, 396, 396),
        # The account decides where it allows less.
        (400, True, 300, 300, 0, 290),
        (54, False, 10, 10, 0, 0),
        (4, True, 1000, 1000, 0, 0),
    ],
)
def test_a_release_that_chooses_no_reservation_takes_no_more_than_there_are_connections(
    monkeypatch: pytest.MonkeyPatch,
    budget: int,
    production: bool,
    limit: int,
    unreserved: int,
    held: int,
    expected: int,
) -> None:
    account_with(monkeypatch, limit, unreserved)
    reserved = default_reservation(budget, held, "us-east-1", production=production)
    assert reserved == expected
    check_reserved_concurrency(reserved, budget)


def test_a_small_account_is_reported_before_anything_is_uploaded(account: Stubber) -> None:
    with pytest.raises(
        UserError,
        match=r"ReservedConcurrency 2: the account's limit in us-east-1 is 10 .* 0 can be reserved",
    ):
        check_account_concurrency(2, 0, "us-east-1")


def test_an_existing_reservation_can_stay(account: Stubber) -> None:
    check_account_concurrency(0, 0, "us-east-1")
    check_account_concurrency(2, 2, "us-east-1")
    # Neither had to ask.
    with pytest.raises(AssertionError):
        account.assert_no_pending_responses()
