"""The two halves meet in `shared/` alone, and agree with it."""

import ast
from pathlib import Path

import pytest

from shared.contract.check import template_findings
from shared.contract.loader import load_contract
from shared.contract.template import consumed_parameters

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "service" / "template.yaml"
FUNCTIONS = {folder.name for folder in (ROOT / "service" / "src").iterdir()}


def imported_packages(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_the_template_declares_its_values_as_the_contract_types_them() -> None:
    consumed = {p.logical_name for p in consumed_parameters(TEMPLATE, load_contract())}
    assert {"PrivateSubnetIds", "DatabaseWriterEndpoint", "DatabaseAppSecretArn"} <= consumed


def test_the_templates_and_the_contract_agree_in_all_ways() -> None:
    assert [f for f in template_findings(ROOT, load_contract()) if f.breaks] == []


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("infra", {"service", "local"} | FUNCTIONS),
        ("service", {"infra", "local"}),
        ("shared", {"infra", "service", "local"} | FUNCTIONS),
    ],
)
def test_arrows_go_one_way(folder: str, forbidden: set[str]) -> None:
    files = [
        file
        for file in (ROOT / folder).rglob("*.py")
        if not {".aws-sam", "cdktf.out"} & set(file.parts)
    ]
    assert files
    offenders = {file.name for file in files if imported_packages(file) & forbidden}
    assert not offenders


def test_the_functions_import_nothing_from_the_deploy_side() -> None:
    for file in (ROOT / "service" / "src").rglob("*.py"):
        assert not imported_packages(file) & {"shared", "service"}, file
