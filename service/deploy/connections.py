"""How many of the database's connections a service may take."""

from collections.abc import Mapping
from pathlib import Path

from shared.cli.errors import UserError
from shared.contract.template import declared_parameters

RESERVED_CONCURRENCY = "ReservedConcurrency"


def check_reserved_concurrency(reserved: int, budget: int, beside: int = 0) -> None:
    """Do nothing if `reserved` functions at a time get along with the connections in `budget`.

    Each function holds one connection; `beside` are reserved by other copies of the service. Lambda
    reads a reservation of 0 in the template as none; then nothing but the account's limit counts,
    and nothing is checked.

    Raises:
        UserError: the functions could take more connections than the data platform has for them.
    """
    if reserved + beside > budget:
        others = f", {beside} of them reserved by other copies of the service" if beside else ""
        raise UserError(
            f"{RESERVED_CONCURRENCY} {reserved}: the database has connections for {budget} "
            f"functions at a time{others}; lower it, or have the platform team raise the budget "
            "(database.instance_class, max_capacity or proxy in infra/environments)"
        )


def reserved_concurrency(template: Path, given: Mapping[str, str]) -> int:
    """The reserved concurrency that a release has: the one given, or the template's; 0 for none.

    Raises:
        UserError: what is given is no number of functions.
    """
    declaration = declared_parameters(template).get(RESERVED_CONCURRENCY, {})
    value = given.get(RESERVED_CONCURRENCY, str(declaration.get("Default", 0)))
    if not value.isdecimal():
        raise UserError(f"{RESERVED_CONCURRENCY} {value!r}: use a whole number, 0 for no limit")
    return int(value)
