"""Both halves agree with the contract."""

import json
from pathlib import Path

from shared.contract.check import template_findings
from shared.contract.loader import load_contract
from shared.contract.template import consumed_parameters
from shared.naming import METRICS, TRADE_SERVICE, TRADES_BOOKED

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "service" / "template.yaml"


def test_the_template_declares_its_values_as_the_contract_types_them() -> None:
    consumed = {p.logical_name for p in consumed_parameters(TEMPLATE, load_contract())}
    assert {"PrivateSubnetIds", "DatabaseWriterEndpoint", "DatabaseAppSecretArn"} <= consumed


def test_the_templates_and_the_contract_agree_in_all_ways() -> None:
    assert [f for f in template_findings(ROOT, load_contract()) if f.breaks] == []


def test_infra_asks_cloudwatch_for_what_the_service_counts() -> None:
    """The template's dashboard shows the metric, so that its name there is the service's."""
    metric = [
        METRICS,
        TRADES_BOOKED,
        "environment",
        "${EnvironmentSuffix}",
        "service",
        TRADE_SERVICE,
    ]
    assert json.dumps(metric) in TEMPLATE.read_text()
