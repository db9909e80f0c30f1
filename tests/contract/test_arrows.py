"""Imports go one way: between the halves, between their layers, and to `shared/`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = {folder.name for folder in (ROOT / "service" / "src").iterdir() if folder.is_dir()}

# What looks at both halves, and is never imported by them.
ABOVE = {"local", "certify", "benchmarks", "docs", "tests"}

# From bottom to top: a module may import from its own layer or a lower one.
INFRA = (
    "provider",
    "config",
    "policies",
    "constructs",
    "stacks",
    "main",
    "terraform",
    "gate",
    "commands",
)
TRADING = ("store", "trades", "api")


def sources(folder: Path) -> list[Path]:
    """The Python files of a folder, without generated ones."""
    generated = {".aws-sam", "cdktf.out", "__pycache__"}
    found = [file for file in folder.rglob("*.py") if not generated & set(file.parts)]
    assert found
    return found


def imported_modules(code: str) -> Iterator[str]:
    """The dotted names that a module imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import hides which layer it comes from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_packages(file: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {name.partition(".")[0] for name in imported_modules(file.read_text())}


def against_the_layers(package: str, layers: tuple[str, ...], module: str, code: str) -> list[str]:
    """A module's imports from higher layers."""
    own = layers.index(module)
    paths = (name.split(".") for name in imported_modules(code))
    reached = [path[1] for path in paths if path[0] == package and path[1] in layers]
    return [name for name in reached if layers.index(name) > own]


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("infra", {"service", "trading_client"} | ABOVE | FUNCTIONS),
        ("service", {"infra", "trading_client"} | ABOVE),
        ("shared", {"infra", "service", "trading_client"} | ABOVE | FUNCTIONS),
        ("local", ABOVE - {"local"}),
        # It runs the platform of this machine to record what is asked of AWS.
        ("certify", ABOVE - {"certify", "local"}),
        # Callers install the client alone.
        ("client", {"infra", "service", "shared"} | ABOVE | FUNCTIONS),
        # Functions have neither the release tool nor what runs on the developer's machine.
        ("service/src", {"shared", "service", "deploy", "tools"}),
    ],
)
def test_no_folder_imports_what_may_only_import_it(folder: str, forbidden: set[str]) -> None:
    offenders = {
        str(file.relative_to(ROOT)): found
        for file in sources(ROOT / folder)
        if (found := imported_packages(file) & forbidden)
    }
    assert not offenders


def test_every_module_of_infra_is_in_a_layer() -> None:
    folder = ROOT / "infra"
    found = {file.relative_to(folder).with_suffix("").parts[0] for file in sources(folder)}
    assert found - {"__init__"} == set(INFRA)


@pytest.mark.parametrize("layer", INFRA)
def test_no_layer_of_infra_imports_a_higher_one(layer: str) -> None:
    place = ROOT / "infra" / layer
    files = sources(place) if place.is_dir() else [place.with_suffix(".py")]
    offenders = {
        str(file.relative_to(ROOT)): found
        for file in files
        if (found := against_the_layers("infra", INFRA, layer, file.read_text()))
    }
    assert not offenders


@pytest.mark.parametrize("layer", TRADING)
def test_the_store_knows_no_rules_and_the_rules_know_no_routes(layer: str) -> None:
    code = (ROOT / "service" / "src" / "trading" / f"{layer}.py").read_text()
    assert not against_the_layers("trading", TRADING, layer, code)


@pytest.mark.parametrize(
    ("layer", "code", "found"),
    [
        ("constructs", "from infra.stacks.base import Stack", ["stacks"]),
        ("constructs", "def f():\n    import infra.commands.deploy", ["commands"]),
        ("constructs", "from infra import main", ["main"]),
        ("constructs", "from infra.constructs.iam import policy", []),
        ("constructs", "import json\nfrom infra.config.place import Place", []),
    ],
)
def test_an_import_against_the_layers_is_found(layer: str, code: str, found: list[str]) -> None:
    assert against_the_layers("infra", INFRA, layer, code) == found
