"""How many of the database's connections a service may take."""

from pathlib import Path

from shared.errors import UserError
from shared.template import declared_parameters

RESERVED_CONCURRENCY = "ReservedConcurrency"


def check_reserved_concurrency(reserved: int, budget: int) -> None:
    """Do nothing if `reserved` functions at a time get along with the connections in `budget`.

    Each function holds one connection. Lambda reads a reservation of 0 in the template as none;
    then nothing but the account's limit counts, and nothing is checked.

    Raises:
        UserError: the functions could take more connections than the data platform has for them.
    """
    if reserved > budget:
        raise UserError(
            f"{RESERVED_CONCURRENCY} {reserved}: the database has connections for {budget} "
            "functions at a time; lower it, or have the platform team raise the budget "
            "(database.instance_class, max_capacity or proxy in infra/environments)"
        )


def default_reserved_concurrency(template: Path) -> int:
    """The reserved concurrency that a template has by default; 0 for none."""
    declaration = declared_parameters(template).get(RESERVED_CONCURRENCY, {})
    return int(declaration.get("Default", 0))
