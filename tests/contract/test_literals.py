"""Names that both halves write are in the contract."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

import boto3
import pytest
import yaml
from botocore import xform_name

from tests.contract.test_arrows import ROOT, sources

# An invented name: words joined by `_`, `-`, `/` or capital letters, but no range of characters, as
# in `[a-z0-9_]`.
_NAME = re.compile(
    r"(?<![\[\w-])[A-Za-z][A-Za-z0-9]*(?:[_/-][A-Za-z0-9]*)+"
    r"|[A-Z][a-z]+(?:[A-Z][A-Za-z0-9]+)+"
)
_SHORTEST = 4
# An action or a managed policy of IAM.
_OF_IAM = re.compile(r"\b[a-z0-9-]+:([A-Z][A-Za-z]+)|:aws:(policy/[\w/-]+)")


class _Loader(yaml.SafeLoader):
    """YAML whose short tags (`!Sub`) become the text or list after them."""


def _untagged(loader: _Loader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_Loader.add_multi_constructor("!", _untagged)


def texts_of_code(code: str) -> Iterator[str]:
    """The string literals of a module, and of its f-strings; no docstring."""
    tree = ast.parse(code)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        if isinstance(node.value, str):
            yield node.value


def texts_of_template(node: Any) -> Iterator[str]:
    """The texts in a template, without the keys and without descriptions."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from texts_of_template(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key not in ("Description", "AlarmDescription", "AssertDescription"):
                yield from texts_of_template(value)


def names_in(texts: Iterable[str]) -> set[str]:
    """The invented names in these texts."""
    return {name for text in texts for name in _NAME.findall(text) if len(name) >= _SHORTEST}


def known_to_both(infra: Iterable[str], service: Iterable[str], meeting: Iterable[str]) -> set[str]:
    """Names in both halves' texts that are not in their meeting place."""
    infra, service = list(infra), list(service)
    of_iam = {
        name for text in (*infra, *service) for found in _OF_IAM.findall(text) for name in found
    }
    return (names_in(infra) & names_in(service)) - names_in(meeting) - of_iam


def aws_words() -> set[str]:
    """The words of the APIs that both halves call or configure, and of MySQL."""
    words = {"restapis/", "MySQL", "information_schema"}
    for name in ("cloudformation", "cloudwatch", "kms"):
        model = boto3.client(name, region_name="us-east-1").meta.service_model
        words |= {xform_name(operation) for operation in model.operation_names}
        for shape in map(model.shape_for, model.shape_names):
            words |= {*getattr(shape, "members", ()), *getattr(shape, "enum", ())}
    return words


@pytest.fixture(scope="module")
def halves() -> tuple[list[str], list[str]]:
    """The texts of each half."""
    infra, service = (
        [text for file in sources(ROOT / half) for text in texts_of_code(file.read_text())]
        for half in ("infra", "service")
    )
    template = (ROOT / "service" / "template.yaml").read_text()
    document = yaml.load(template, _Loader)
    return infra, [*service, *texts_of_template(document)]


@pytest.fixture(scope="module")
def meeting() -> list[str]:
    """The meeting place: the contract, shared/, and the names of make's targets."""
    code = [text for file in sources(ROOT / "shared") for text in texts_of_code(file.read_text())]
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([\w-]+):", makefile, re.MULTILINE)
    return [(ROOT / "shared" / "contract.toml").read_text(), *code, *targets]


def test_no_name_is_known_to_both_halves_but_not_to_the_contract(
    halves: tuple[list[str], list[str]], meeting: list[str]
) -> None:
    infra, service = halves
    assert known_to_both(infra, service, meeting) - aws_words() == set()


@pytest.mark.parametrize(
    ("infra", "service"),
    [
        ('USER = "trade_app"', 'name: str = "trade_app"'),
        ('arn = f"{bucket}/previews/*"', 'folder = f"previews/{stage}/"'),
        ('f"function:CodeDeployHook_trade_{name}"', 'Name = "CodeDeployHook_trade_${Name}"'),
        ('secret = "master-secret"', 'read("master-secret")'),
    ],
)
def test_a_name_that_both_halves_write_is_found(
    halves: tuple[list[str], list[str]], infra: str, service: str
) -> None:
    mine, theirs = halves
    found = known_to_both(
        [*mine, *texts_of_code(infra)], [*theirs, *texts_of_code(service)], meeting=[]
    )
    assert found >= names_in(texts_of_code(infra)) & names_in(texts_of_code(service)) != set()
