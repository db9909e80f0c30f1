"""The template as CloudFormation gets it from the SAM transform, with values of parameters."""

from __future__ import annotations

import functools
from typing import Any

from certify.transformed import transformed
from service.deploy.build import TEMPLATE
from shared.contract.template import declared_parameters

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


# The conditions that tell a preview from the environment's own service.
_DECIDED = ("IsPreview", "IsNoPreview")
_NONE = object()


@functools.cache
def stack(**parameters: str) -> Stack:
    """The stack that a deploy with these parameters makes.

    What depends on whether it is a preview (`ServiceStage`) is decided; other conditions are open.
    """
    document = transformed(**parameters)
    conditions = document["Conditions"]
    values = {"EnvironmentSuffix": "qa", **parameters}
    values = {name: d.get("Default") for name, d in declared_parameters(TEMPLATE).items()} | values
    decided = {name: _holds(conditions[name], conditions, values) for name in _DECIDED}
    return Stack(_decided(document, decided))


def _holds(condition: Document, conditions: Document, values: Document) -> bool:
    """Whether a condition of the template holds."""
    ((function, operands),) = condition.items()
    if function == "Condition":
        return _holds(conditions[operands], conditions, values)
    if function == "Fn::Equals":
        first, second = (values[o["Ref"]] if isinstance(o, dict) else o for o in operands)
        return bool(first == second)
    held = [_holds(operand, conditions, values) for operand in operands]
    return {"Fn::And": all, "Fn::Not": lambda found: not found[0]}[function](held)


def _decided(node: Any, decided: dict[str, bool]) -> Any:
    """What CloudFormation makes of a part of the template once conditions are decided."""
    if isinstance(node, list):
        return [_decided(chosen, decided) for n in node if (chosen := _chosen(n, decided)) != _NONE]
    if not isinstance(node, dict):
        return node
    return {
        key: _decided(chosen, decided)
        for key, value in node.items()
        if (chosen := _chosen(value, decided)) != _NONE
    }


def _chosen(node: Any, decided: dict[str, bool]) -> Any:
    """What a decided condition chooses; `_NONE` for what goes with it."""
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Fn::If"} and node["Fn::If"][0] in decided:
        condition, if_true, if_false = node["Fn::If"]
        chosen = if_true if decided[condition] else if_false
        return _NONE if chosen == {"Ref": "AWS::NoValue"} else chosen
    return _NONE if decided.get(str(node.get("Condition"))) is False else node
