"""docs/explanation/security.md names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "explanation" / "security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
ROW = re.compile(r"^\| (?!Threat|Asset|---|\*\*)(.*) \| (.*) \| (.*) \|$", re.MULTILINE)


def test_every_test_that_shows_a_control_exists() -> None:
    for file, name in NAMED:
        tree = ast.parse((ROOT / file).read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{file}::{name}"


def test_every_threat_has_a_control_and_a_test() -> None:
    rows = ROW.findall(PAGE)
    assert len(rows) > 60
    for threat, control, test in rows:
        assert control.strip(), threat
        assert re.fullmatch(r"`tests/[\w/]+\.py::test_\w+`", test), threat


def test_every_asset_says_who_reaches_it() -> None:
    start = PAGE.index("| Asset |")
    table = PAGE[start : PAGE.index("\n\n", start)].splitlines()[2:]
    assert len(table) > 10
    for row in table:
        assert ROW.fullmatch(row), row
