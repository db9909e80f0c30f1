"""The template as CloudFormation gets it from the SAM transform, with values of parameters."""

from __future__ import annotations

import copy
import functools
import json
import os
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from service.stack import TEMPLATE

Document = dict[str, Any]


class Stack:
    """The resources of a transformed template."""

    def __init__(self, document: Document) -> None:
        self.resources: dict[str, Document] = document["Resources"]

    def of_type(self, type_: str) -> dict[str, Document]:
        """The resources of a type, by logical name."""
        return {n: r for n, r in self.resources.items() if r["Type"] == type_}

    def properties(self, name: str) -> Document:
        properties: Document = self.resources[name]["Properties"]
        return properties

    def statements(self, function: str) -> list[Document]:
        """What a function's own policies allow."""
        policies = self.properties(f"{function}Role")["Policies"]
        return [s for policy in policies for s in policy["PolicyDocument"]["Statement"]]

    def version(self, function: str) -> str:
        """The logical name of the version that a function's alias leads to."""
        alias = self.properties(f"{function}Aliaslive")
        name: str = alias["FunctionVersion"]["Fn::GetAtt"][0]
        assert self.resources[name]["Type"] == "AWS::Lambda::Version"
        return name


@functools.cache
def stack(**parameters: str) -> Stack:
    """The stack that a deploy with these parameters makes."""
    document = copy.deepcopy(_packaged())
    no_policies = SimpleNamespace(load=dict)
    values = {"EnvironmentSuffix": "qa", **parameters}
    # The transform asks its surroundings for the region, as in the AWS service.
    with patch.dict(os.environ, AWS_DEFAULT_REGION="us-east-1"):
        return Stack(transform(document, values, no_policies))


@functools.cache
def _packaged() -> Document:
    """The template as `sam package` leaves it, and its includes as CloudFormation expands them."""
    document = _included(yaml_parse(TEMPLATE.read_text()))
    for resource in document["Resources"].values():
        for path in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][path] = "s3://bucket/code"
    packaged: Document = document
    return packaged


def _included(node: Any) -> Any:
    if isinstance(node, list):
        return [_included(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "Fn::Transform" in node:
        location = node["Fn::Transform"]["Parameters"]["Location"]
        return json.loads((TEMPLATE.parent / location).read_text())
    return {key: _included(value) for key, value in node.items()}
