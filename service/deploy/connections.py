"""How many functions may run at the same time: the limits of the database and of the account."""

from collections.abc import Mapping
from pathlib import Path

import boto3

from shared.cli.aws import answering
from shared.cli.errors import UserError
from shared.contract.template import declared_parameters

RESERVED_CONCURRENCY = "ReservedConcurrency"

# Lambda keeps at least this many of the account's concurrent executions unreserved. Older accounts
# have a minimum of 100; new ones, whose limit may be 10, have this one.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
_UNRESERVED_MIN = 10
# Connections for the functions that the reservation does not count: archive and migration.
_KEPT_BACK = 4


def check_reserved_concurrency(reserved: int, budget: int, beside: int = 0) -> None:
    """Do nothing if the database has a connection for each of `reserved` functions.

    `budget` is how many connections there are, and `beside` how many functions other copies of the
    service have reserved. The template takes 0 for no reservation: then the account's limit alone
    counts, and nothing is checked.

    Raises:
        UserError: the functions could take more connections than the data platform has for them.
    """
    if reserved + beside > budget:
        others = f", {beside} of them reserved by other copies of the service" if beside else ""
        raise UserError(
            f"{RESERVED_CONCURRENCY} {reserved}: the database has connections for {budget} "
            f"functions at a time{others}; lower it, or ask the platform team for a larger database"
        )


def reserved_concurrency(template: Path, given: Mapping[str, str]) -> int:
    """The reserved concurrency of a release: the given one, or the template's; 0 for none.

    Raises:
        UserError: the given one is not a number of functions.
    """
    declaration = declared_parameters(template).get(RESERVED_CONCURRENCY, {})
    value = given.get(RESERVED_CONCURRENCY, str(declaration.get("Default", 0)))
    if not value.isdecimal():
        raise UserError(f"{RESERVED_CONCURRENCY} {value!r}: use a whole number, 0 for no limit")
    return int(value)


def default_reservation(budget: int, held: int, region: str, *, production: bool) -> int:
    """The reserved concurrency of a release that chooses none; 0 where the account allows none.

    `budget` is how many connections there are for functions. Without a reservation, a burst of
    requests would start as many functions as the account allows, and each takes a connection.
    Some connections stay for the migration and the archive, and for previews outside of production.
    `held` is what the function has reserved now.

    Raises:
        UserError: Lambda does not answer.
    """
    kept_back = _KEPT_BACK if production else max(_KEPT_BACK, budget // 4)
    return max(0, min(budget - kept_back, _free(region)[0] + held))


def check_account_concurrency(wanted: int, held: int, region: str) -> None:
    """Do nothing if Lambda would let a function reserve `wanted` concurrent executions.

    `held` is what the function has reserved now.

    Raises:
        UserError: the account's limit in the region is too low, or Lambda does not answer.
    """
    if wanted <= held:
        return
    unreserved, limit = _free(region)
    free = unreserved + held
    if wanted > free:
        raise UserError(
            f"{RESERVED_CONCURRENCY} {wanted}: the account's limit in {region} is "
            f"{limit} concurrent executions, of which {max(free, 0)} can "
            "be reserved; lower it (0 reserves none), or ask AWS for a higher limit"
        )


def _free(region: str) -> tuple[int, int]:
    """How many concurrent executions the account can still reserve, and its limit."""
    with answering(region, "Lambda"):
        client = boto3.client("lambda", region_name=region)
        limits = client.get_account_settings()["AccountLimit"]
    return (
        limits["UnreservedConcurrentExecutions"] - _UNRESERVED_MIN,
        limits["ConcurrentExecutions"],
    )
