"""Estimates what the synthesized stacks cost in a month: `python -m infra.commands.cost`.

`prices.toml` holds the prices and the assumed usage.
"""

import os
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from infra.config.environment import EnvironmentConfig, load_environment
from infra.config.profiles import PROFILES
from infra.main import synthesize
from infra.terraform.program import read_configuration
from shared.cli.errors import exit_code

PRICES_FILE = Path(__file__).parents[1] / "config" / "prices.toml"
_LABEL_WIDTH = 58
_COLUMN_WIDTH = 13


@dataclass(frozen=True)
class Charge:
    """One thing that AWS charges for a type of resource; `price` is in dollars per unit."""

    type: str
    what: str
    unit: str
    source: str
    price: float = 0
    by: str = ""
    prices: Mapping[str, float] = field(default_factory=dict)
    quantity: float = 0
    assumption: str = ""
    where: Mapping[str, object] = field(default_factory=dict)
    each: str = ""

    def applies(self, resource: Mapping[str, Any]) -> bool:
        """Whether the resource is charged for this."""
        return (
            all(resource.get(name) == value for name, value in self.where.items())
            and (not self.by or resource.get(self.by) in self.prices)
            and (not self.each or self.each in resource)
        )


@dataclass(frozen=True)
class Prices:
    """The price table."""

    date: str
    hours_per_month: float
    free: frozenset[str]
    charges: tuple[Charge, ...]


@dataclass(frozen=True)
class Item:
    """What one resource costs in a month for one thing, in dollars."""

    region: str
    label: str
    dollars: float
    charge: Charge


@dataclass(frozen=True)
class Estimate:
    """What stacks cost in a month; `unpriced` counts the resources that the table lacks."""

    items: tuple[Item, ...]
    unpriced: Counter[str]

    def total(self, region: str = "", *, assumed: bool | None = None) -> float:
        """The sum in dollars: of a region, of the assumed or the fixed part, or of all."""
        return sum(
            item.dollars
            for item in self.items
            if region in ("", item.region) and assumed in (None, bool(item.charge.assumption))
        )


def load_prices(file: Path = PRICES_FILE) -> Prices:
    """Read the price table."""
    data = tomllib.loads(file.read_text())
    return Prices(
        date=data["date"],
        hours_per_month=data["hours_per_month"],
        free=frozenset(data["free"]),
        charges=tuple(Charge(**charge) for charge in data["charges"]),
    )


def estimate(stacks: Sequence[Mapping[str, Any]], prices: Prices) -> Estimate:
    """Price every resource of synthesized stacks, given as Terraform JSON."""
    items: list[Item] = []
    unpriced: Counter[str] = Counter()
    for stack in stacks:
        region = stack["provider"]["aws"][0]["region"]
        for type_, resources in stack["resource"].items():
            for resource in resources.values():
                found = list(_items(region, type_, resource, prices))
                items += found
                if not found and type_ not in prices.free:
                    unpriced[type_] += 1
    return Estimate(tuple(items), unpriced)


def _items(region: str, type_: str, resource: Mapping[str, Any], prices: Prices) -> Iterator[Item]:
    for charge in prices.charges:
        if charge.type != type_ or not charge.applies(resource):
            continue
        price = charge.prices[resource[charge.by]] if charge.by else charge.price
        quantity = prices.hours_per_month if charge.unit == "hour" else charge.quantity
        count = len(resource[charge.each]) if charge.each else 1
        kind = f" {resource[charge.by]}" if charge.by else ""
        label = f"{type_.removeprefix('aws_')}{kind}, {charge.what}"
        yield Item(region, label, price * quantity * count, charge)


def report(columns: Mapping[str, Estimate], prices: Prices) -> str:
    """The estimates side by side, by region, with their assumptions."""
    lines = [
        f"Estimate per month in US dollars, at the list prices of {prices.date} "
        "(infra/config/prices.toml). The number of each is in brackets.",
        "",
        _row("", list(columns)),
    ]
    every = [item for column in columns.values() for item in column.items]
    for region in dict.fromkeys(item.region for item in every):
        lines.append(region)
        for label in sorted({item.label for item in every if item.region == region}):
            cells = [_cell(column, region, label) for column in columns.values()]
            lines.append(_row(f"  {label}", cells))
        lines += _totals(columns, region, "  ")
    lines += ["", *_totals(columns, "", "all regions: "), "", "Assumed:"]
    assumptions = {item.charge.assumption: None for item in every if item.charge.assumption}
    lines += [f"  {assumption}" for assumption in assumptions]
    unpriced = sum((column.unpriced for column in columns.values()), Counter())
    lines += ["", "Not priced: " + (", ".join(sorted(unpriced)) or "nothing of these stacks")]
    lines.append("Not in it: data transfer, requests to KMS, S3 and Secrets Manager, the service.")
    return "\n".join(lines)


def _totals(columns: Mapping[str, Estimate], region: str, prefix: str) -> list[str]:
    return [
        _row(
            f"{prefix}{name}",
            [f"{column.total(region, assumed=assumed):.2f}" for column in columns.values()],
        )
        for name, assumed in (("fixed", False), ("assumed usage", True), ("total", None))
    ]


def _cell(column: Estimate, region: str, label: str) -> str:
    found = [item for item in column.items if (item.region, item.label) == (region, label)]
    return f"{sum(item.dollars for item in found):.2f} ({len(found)})" if found else ""


def _row(label: str, cells: Sequence[str]) -> str:
    return (f"{label:<{_LABEL_WIDTH}}" + "".join(f"{c:>{_COLUMN_WIDTH}}" for c in cells)).rstrip()


def estimate_environment(environment: EnvironmentConfig, prices: Prices) -> Estimate:
    """Synthesize an environment and price its stacks."""
    with tempfile.TemporaryDirectory() as folder:
        synthesize(replace(environment, out_dir=Path(folder)))
        stacks = [
            read_configuration(Path(folder) / "stacks" / name) for name in environment.stack_names()
        ]
    return estimate(stacks, prices)


def main() -> None:
    """Print what the environment costs, and what it would cost with each profile."""
    prices = load_prices()
    environment = load_environment(os.environ)
    columns = {environment.suffix: environment} | {
        f"= {profile}": environment.with_profile(profile) for profile in PROFILES
    }
    print(report({k: estimate_environment(e, prices) for k, e in columns.items()}, prices))


if __name__ == "__main__":
    sys.exit(exit_code(main))
