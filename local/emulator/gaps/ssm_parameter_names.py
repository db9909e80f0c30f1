"""Stack parameters that come from SSM.

AWS: DescribeStacks returns the SSM parameter's name as the value, and its content as the resolved
value.
ministack: returns the content as the value, and no name.
Here: as on AWS. Remove once ministack does the same.
"""

from __future__ import annotations

import re
from typing import Any
from xml.sax.saxutils import escape

from ministack.services.cloudformation import _stacks, handlers


def install() -> None:
    """Return both for each stack."""
    actions = handlers._ACTION_HANDLERS
    actions["DescribeStacks"] = _with_names(actions["DescribeStacks"])


def _with_names(original: Any) -> Any:
    def describe(parameters: dict[str, Any]) -> Any:
        for stack in _stacks.values():
            sources = _sources(stack)
            for parameter in stack.get("Parameters", []):
                if parameter["ParameterKey"] in sources:
                    parameter["ParameterValue"] = sources[parameter["ParameterKey"]]["SsmName"]
        status, headers, body = original(parameters)
        text = body.decode() if isinstance(body, bytes) else body
        return status, headers, "".join(map(_with_values, _by_stack(text))).encode()

    return describe


def _by_stack(text: str) -> list[str]:
    """The answer in pieces; each one after the first begins with a stack's name."""
    return re.split("(?=<StackName>)", text)


def _with_values(piece: str) -> str:
    name = re.match("<StackName>(.*?)</StackName>", piece)
    sources = _sources(_stacks.get(name[1]) if name else None).values()
    for path, value in {source["SsmName"]: source["Value"] for source in sources}.items():
        element = f"<ParameterValue>{escape(path)}</ParameterValue>"
        resolved = f"<ResolvedValue>{escape(value)}</ResolvedValue>"
        piece = piece.replace(element, f"{element}{resolved}")
    return piece


def _sources(stack: Any) -> dict[str, Any]:
    """The stack's parameters that come from SSM, with their names and values."""
    parameters = (stack or {}).get("_resolved_params", {})
    return {key: source for key, source in parameters.items() if "SsmName" in source}
