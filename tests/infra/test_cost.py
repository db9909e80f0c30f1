"""The cost estimate, on the stacks that Terraform gets."""

import datetime
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from infra.commands import cost
from infra.commands.cost import Estimate, estimate, load_prices, report
from tests.support.synthesized import VARIANTS, variant

PRICES = load_prices()


def estimated(name: str) -> Estimate:
    return estimate([stack.document for stack in variant(name).values()], PRICES)


def one_resource(type_: str, **attributes: Any) -> Mapping[str, Any]:
    return {
        "provider": {"aws": [{"region": "us-east-1"}]},
        "resource": {type_: {"it": attributes}},
    }


def test_the_standard_shape_in_three_regions_costs_what_was_specified() -> None:
    standard = estimated("standard")
    databases = sum(
        i.dollars for i in standard.items if i.charge.type == "aws_rds_cluster_instance"
    )
    assert databases == pytest.approx(3 * 3 * 0.29 * 730)
    assert 1500 <= databases <= 2000
    # The NAT gateways and what AWS charges for since then (each public address) come on top.
    assert standard.total() <= 2000 * 1.05


def test_dev_costs_a_tenth_of_standard_and_production_the_most() -> None:
    dev, standard, production = (estimated(n).total() for n in ("dev", "standard", "production"))
    assert dev < standard / 10
    assert standard < production


@pytest.mark.parametrize("name", VARIANTS)
def test_nothing_that_a_profile_makes_is_without_a_price(name: str) -> None:
    assert not estimated(name).unpriced


def test_a_total_adds_up_regions_fixed_and_assumed_costs() -> None:
    found = estimated("production")
    regions = {item.region for item in found.items}
    assert regions == {"us-east-1", "us-east-2", "us-west-2"}
    assert found.total() == pytest.approx(sum(found.total(region) for region in regions))
    assert found.total() == pytest.approx(found.total(assumed=True) + found.total(assumed=False))


@pytest.mark.parametrize(
    ("document", "dollars"),
    [
        (one_resource("aws_nat_gateway"), 0.045 * 730 + 0.045 * 10),
        (one_resource("aws_vpc_endpoint", vpc_endpoint_type="Gateway"), 0),
        (
            one_resource("aws_vpc_endpoint", vpc_endpoint_type="Interface", subnet_ids=["a", "b"]),
            2 * 0.01 * 730,
        ),
        (one_resource("aws_rds_cluster_instance", instance_class="db.r5.xlarge"), 0.58 * 730),
        (one_resource("aws_rds_cluster_instance", instance_class="db.serverless"), 88 * 0.12),
    ],
)
def test_a_resource_costs_what_the_table_says(document: Mapping[str, Any], dollars: float) -> None:
    assert estimate([document], PRICES).total() == pytest.approx(dollars)


@pytest.mark.parametrize(
    "document",
    [
        one_resource("aws_new_thing"),
        one_resource("aws_rds_cluster_instance", instance_class="db.x99.huge"),
    ],
)
def test_a_type_without_a_price_is_listed_and_not_free(document: Mapping[str, Any]) -> None:
    found = estimate([document], PRICES)
    (type_,) = document["resource"]
    assert found.unpriced == Counter({type_: 1})
    assert f"Not priced: {type_}" in report({"it": found}, PRICES)


def test_the_table_is_dated_and_names_a_source_for_each_price_and_a_reason_for_each_guess() -> None:
    assert datetime.date.fromisoformat(PRICES.date)
    for charge in PRICES.charges:
        assert charge.source.startswith("https://"), charge.type
        assert charge.type not in PRICES.free
        per_month = charge.unit in ("hour", "key", "secret", "alarm", "dashboard")
        assert per_month != bool(charge.assumption), (charge.type, charge.what)


def test_the_report_shows_the_environment_beside_each_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "dev")
    monkeypatch.setenv("REGIONS", "us-east-1")
    cost.main()
    printed = capsys.readouterr().out
    assert PRICES.date in printed
    lines = printed.splitlines()
    assert lines[2].split() == ["dev", "=", "dev", "=", "standard", "=", "production"]
    (instances,) = [line for line in lines if "db.r5.large" in line]
    assert instances.split()[-4:] == ["635.10", "(3)", "635.10", "(3)"]
    totals = next(line for line in lines if line.startswith("all regions: total"))
    assert totals.split()[3] == totals.split()[4]


def test_a_free_type_is_neither_charged_nor_listed() -> None:
    found = estimate([one_resource("aws_vpc")], PRICES)
    assert found.total() == 0
    assert not found.unpriced
    assert estimate([one_resource("aws_vpc")], replace(PRICES, free=frozenset())).unpriced
