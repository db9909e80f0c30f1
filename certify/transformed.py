"""The service's template as CloudFormation gets it from the SAM transform."""

import copy
import functools
import json
import os
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from service.deploy.build import TEMPLATE

Template = dict[str, Any]


def transformed(**parameters: str) -> Template:
    """The template after the SAM transform, with these values of its parameters."""
    document = copy.deepcopy(_packaged())
    no_policies = SimpleNamespace(load=dict)
    values = {"EnvironmentSuffix": "qa", **parameters}
    # The transform asks its surroundings for the region, as in the AWS service.
    with patch.dict(os.environ, AWS_DEFAULT_REGION="us-east-1"):
        found: Template = transform(document, values, no_policies)
    return found


@functools.cache
def _packaged() -> Template:
    """The template as `sam package` leaves it, and its includes as CloudFormation expands them."""
    document = _included(yaml_parse(TEMPLATE.read_text()))
    for resource in document["Resources"].values():
        for path in {"CodeUri", "ContentUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][path] = "s3://bucket/code"
    packaged: Template = document
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
