"""The service's template as CloudFormation gets it, judged by the registry of its resources.

cfn-lint carries the registry's schemas. They say what values a resource may have, and which calls
CloudFormation makes for it in the name of who deploys.
https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

import copy
import functools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cfnlint
from cfnlint.api import lint

from certify.references import overlap, resource_formats
from certify.transformed import Template
from infra.policies.evaluation import ALLOWED, Access, decision
from infra.policies.statements import Document

_SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas" / "resources"
_HANDLERS = ("create", "read", "update", "delete")
_ASSUMED = Path(__file__).with_name("assumed.toml")
# What the data platform publishes, for a template in which values are in place.
_ACCOUNT = "123456789012"
PUBLISHED: Mapping[str, str] = {
    "AlarmTopicArn": f"arn:aws:sns:us-east-1:{_ACCOUNT}:trading-platform-alarms-useast1-qa",
    "DataBucketName": f"trading-platform-data-{_ACCOUNT}-useast1-qa",
    "DatabaseAppSecretArn": (
        f"arn:aws:secretsmanager:us-east-1:{_ACCOUNT}:secret:trading-platform-useast1-qa/a-AbCdEf"
    ),
    "DatabaseAppUser": "trade_app",
    "DatabaseMasterSecretArn": (
        f"arn:aws:secretsmanager:us-east-1:{_ACCOUNT}:secret:rds!cluster-1-AbCdEf"
    ),
    "DatabaseName": "trading",
    "DatabasePort": "3306",
    "DatabaseReaderEndpoint": "qa.cluster-ro-1.us-east-1.rds.amazonaws.com",
    "DatabaseWriterEndpoint": "qa.cluster-1.us-east-1.rds.amazonaws.com",
    "EnvironmentSuffix": "qa",
    "KmsKeyArn": f"arn:aws:kms:us-east-1:{_ACCOUNT}:key/12345678-1234-1234-1234-123456789012",
    "LambdaSecurityGroupId": "sg-0123456789abcdef0",
    "PrivateSubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "ServiceBoundaryArn": f"arn:aws:iam::{_ACCOUNT}:policy/trading-platform-boundary-useast1-qa",
}


def with_values(template: Template, values: Mapping[str, str]) -> Template:
    """The template with values as its parameters' defaults, as if they were what SSM has."""
    document = copy.deepcopy(template)
    for name, value in values.items():
        parameter = document.get("Parameters", {}).get(name)
        if parameter:
            parameter["Type"] = parameter["Type"].removeprefix("AWS::SSM::Parameter::Value<")
            parameter["Type"] = parameter["Type"].removesuffix(">")
            parameter["Default"] = value
    return document


def named(template: Template, values: Mapping[str, str]) -> Template:
    """The template with texts in place of `Fn::Sub`, wherever all that they name has a value.

    Names are then as long as AWS gets them. `values` are those of parameters and pseudo parameters.
    What a preview, or the environment's own service, does not have stays as it is.
    """
    absent = "IsNoPreview" if values["ServiceStage"] else "IsPreview"
    resources = {
        name: resource if resource.get("Condition") == absent else _named(resource, values)
        for name, resource in template["Resources"].items()
    }
    return {**template, "Resources": resources}


def _named(node: Any, values: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_named(item, values) for item in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Fn::Sub"}:
        text = node["Fn::Sub"]
        pattern, own = (text, {}) if isinstance(text, str) else text
        known = {**values, **{name: _value(value, values, name) for name, value in own.items()}}
        for name in re.findall(r"\$\{([\w:]+)\}", pattern):
            pattern = pattern.replace(f"${{{name}}}", known.get(name, f"${{{name}}}"))
        return node if "${" in pattern else pattern
    return {key: _named(value, values) for key, value in node.items()}


def _value(node: Any, values: Mapping[str, str], name: str) -> str:
    """The value of a variable of `Fn::Sub`, in which conditions are about previews.

    One that is not known stays a variable.
    """
    if isinstance(node, dict) and "Fn::If" in node:
        _condition, preview, own = node["Fn::If"]
        return _value(preview if values["ServiceStage"] else own, values, name)
    if isinstance(node, dict) and "Ref" in node:
        node = values.get(node["Ref"])
    found = _named(node, values)
    return found if isinstance(found, str) else f"${{{name}}}"


def refused_by_schemas(template: Template) -> Iterator[str]:
    """What cfn-lint's schemas refuse in a transformed template: the place, and why."""
    for match in lint(json.dumps(template), regions=["us-east-1"]):
        # Warnings are about style, and the transform's own output has some.
        if match.rule.id.startswith("E"):
            place = ".".join(str(part) for part in match.path)
            yield f"{place}: {match.message} ({match.rule.id}, {match.rule.source_url})"


def handler_calls(type_: str, *verbs: str) -> frozenset[str]:
    """The actions that CloudFormation calls for a type of resource in its deployer's name.

    `verbs` are those of the handlers, such as `create`; without any, all of them count.
    """
    handlers = _schemas().get(type_, {})
    return frozenset(
        action
        for handler in verbs or _HANDLERS
        for action in handlers.get(handler, {}).get("permissions", [])
    )


@functools.cache
def _schemas() -> Mapping[str, Mapping[str, Any]]:
    """The handlers of each type of resource that the registry has a schema of."""
    found = {}
    for file in _SCHEMAS.glob("*.json"):
        schema = json.loads(file.read_text())
        found[schema["typeName"]] = schema.get("handlers", {})
    return found


@functools.cache
def assumed_needless() -> Mapping[str, Mapping[str, str]]:
    """Handlers' actions by type that the template's resources do not need, each with the reason."""
    found: Mapping[str, Mapping[str, str]] = tomllib.loads(_ASSUMED.read_text())
    return found


def denied_to_handlers(template: Template, policies: Sequence[Document]) -> Iterator[str]:
    """What CloudFormation may not call for the template's resources under a deployer's policies.

    The registry does not say on which ARNs: an action must be allowed on some resource that it is
    for, and must not be denied on all.
    """
    statements: list[Any] = [
        statement
        for policy in policies
        for statement in policy["Statement"]  # type: ignore[attr-defined]
    ]
    for type_ in sorted({resource["Type"] for resource in template["Resources"].values()}):
        needless = assumed_needless().get(type_, {})
        for action in sorted(handler_calls(type_) - needless.keys()):
            if not _may(action, statements):
                yield (
                    f"{type_}: service-deployer may not {action}; allow it in "
                    "infra/policies/service_deployer.py"
                )


def _may(action: str, statements: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an action is allowed on a resource that it is for, as the statements name them."""
    formats = resource_formats(action) or ("*",)
    candidates = {
        resource
        for statement in statements
        if statement["Effect"] == "Allow"
        for resource in statement["Resource"]
        if any(overlap(resource, format_) for format_ in formats)
    }
    # Conditions are about the single resource, of which the registry says nothing.
    unconditional = [
        {key: value for key, value in statement.items() if key != "Condition"}
        for statement in statements
        if statement["Effect"] == "Allow" or "Condition" not in statement
    ]
    return any(
        decision(Access(action, resource), [{"Statement": unconditional}]) == ALLOWED
        for resource in candidates
    )
