"""What is known to be bad is refused by the right judge, and what is known to be good by none."""

import functools
import json
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from certify.references import wrong_references
from certify.template import refused_by_schemas
from infra.config.environment import load_environment
from infra.gate import values
from infra.gate.parameters import refused
from infra.gate.principals import locked_out
from shared.cli.errors import UserError

Input = Mapping[str, str]
_FOLDER = Path(__file__).parent / "corpus"
# At least so many of each.
_ENOUGH = 60


@functools.cache
def corpus(name: str) -> tuple[Input, ...]:
    return tuple(tomllib.loads((_FOLDER / f"{name}.toml").read_text())["input"])


def policy(text: str) -> Iterable[str]:
    return wrong_references(json.loads(text))


def plan(text: str) -> Iterable[str]:
    changes = [
        {"address": f"{type_}.it", "type": type_, "change": {"actions": ["create"], "after": after}}
        for type_, after in json.loads(text).items()
    ]
    return [reason for _, reason in values.refused({"resource_changes": changes})]


def environment(text: str) -> Iterable[str]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "environment.toml"
        file.write_text(text)
        try:
            load_environment({"ENVIRONMENT_FILE": str(file)})
        except UserError as error:
            return [str(error)]
    return []


def template(text: str) -> Iterable[str]:
    name = logical_name(text)
    return [reason for reason in found_in_templates() if f".{name}." in reason or name in reason]


@functools.cache
def found_in_templates() -> tuple[str, ...]:
    """What cfn-lint refuses in the resources of both corpora, at one go: it starts slowly."""
    texts = [
        i["value"] for name in ("bad", "good") for i in corpus(name) if i["judge"] == "template"
    ]
    resources = {logical_name(text): json.loads(text) for text in texts}
    document = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
    return tuple(refused_by_schemas(document))


def logical_name(text: str) -> str:
    return f"R{abs(functools.reduce(lambda total, c: total * 31 + ord(c), text, 7)) % 10**12}"


def call(text: str) -> Iterable[str]:
    found = []
    for name, parameters in json.loads(text).items():
        service, _, operation = name.partition(":")
        for member, reason in refused(service, operation, parameters):
            found.append(f"{member}: {reason}")
    return found


_TYPES = {
    "key": "aws_kms_key",
    "bucket": "aws_s3_bucket_policy",
    "topic": "aws_sns_topic",
    "group": "aws_cloudwatch_log_group",
    "logging": "aws_s3_bucket_logging",
}


def principals(text: str) -> Iterable[str]:
    """A plan of a policy, which names services and their actions, and of what refers to it."""
    changes, configured = [], []
    for name, attributes in json.loads(text).items():
        type_ = _TYPES[name]
        is_policy = name in ("key", "bucket")
        statements = [
            {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}
            for service, actions in attributes.items()
        ]
        after = {"policy": json.dumps({"Statement": statements})} if is_policy else {"name": "x"}
        change = {"actions": ["create"], "after": after}
        changes.append({"address": f"{type_}.it", "type": type_, "change": change})
        references = {} if is_policy else attributes
        if name == "bucket":
            references = {"bucket": "bucket"}
        expressions = {
            key: {"references": [f"{_TYPES[target]}.it", "aws_s3_bucket.it"]}
            for key, target in references.items()
        }
        configured.append({"address": f"{type_}.it", "expressions": expressions})
    bucket = {"actions": ["create"], "after": {"bucket": "logs"}}
    changes.append({"address": "aws_s3_bucket.it", "type": "aws_s3_bucket", "change": bucket})
    plan = {
        "resource_changes": changes,
        "configuration": {"root_module": {"resources": configured}},
    }
    return [reason for _, reason in locked_out(plan, "us-east-1")]


JUDGES: Mapping[str, Callable[[str], Iterable[str]]] = {
    "policy": policy,
    "plan": plan,
    "environment": environment,
    "template": template,
    "call": call,
    "principals": principals,
}


def cases(name: str) -> list[Any]:
    return [pytest.param(entry, id=entry["name"].replace(" ", "-")) for entry in corpus(name)]


@pytest.mark.parametrize("entry", cases("bad"))
def test_a_known_bad_input_is_refused_with_a_line_that_says_what_to_do(entry: Input) -> None:
    found = list(JUDGES[entry["judge"]](entry["value"]))
    assert any(entry["says"] in reason for reason in found), found


@pytest.mark.parametrize("entry", cases("good"))
def test_a_known_good_input_is_refused_by_no_judge(entry: Input) -> None:
    assert list(JUDGES[entry["judge"]](entry["value"])) == []


def test_there_are_enough_inputs_and_every_bad_one_has_a_source() -> None:
    for name in ("bad", "good"):
        texts = [(entry["judge"], entry["value"]) for entry in corpus(name)]
        assert len(set(texts)) == len(texts) >= _ENOUGH
        assert {entry["judge"] for entry in corpus(name)} == JUDGES.keys()
    assert all(entry["link"].startswith("https://") for entry in corpus("bad"))
