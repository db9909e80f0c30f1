"""Parameters of CloudFormation stacks whose values come from SSM.

AWS: DescribeStacks gives the SSM parameter's name as the value, and what it stood for as the
resolved value.
ministack: gives the resolved value as the value, and no name.
Here: as on AWS. Droppable once ministack does so.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from ministack.services.cloudformation import _stacks, handlers


def install() -> None:
    """Describe names and resolved values."""
    actions = handlers._ACTION_HANDLERS
    actions["DescribeStacks"] = _with_names(actions["DescribeStacks"])


def _with_names(original: Any) -> Any:
    def describe(parameters: dict[str, Any]) -> Any:
        resolved = {}
        for stack in _stacks.values():
            sources = stack.get("_resolved_params", {})
            for parameter in stack.get("Parameters", []):
                source = sources.get(parameter["ParameterKey"], {})
                if "SsmName" in source:
                    parameter["ParameterValue"] = source["SsmName"]
                    resolved[source["SsmName"]] = source["Value"]
        status, headers, body = original(parameters)
        text = body.decode() if isinstance(body, bytes) else body
        for name, value in resolved.items():
            element = f"<ParameterValue>{escape(name)}</ParameterValue>"
            text = text.replace(element, f"{element}<ResolvedValue>{escape(value)}</ResolvedValue>")
        return status, headers, text.encode()

    return describe
