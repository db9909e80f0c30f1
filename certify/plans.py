"""Plans of synthesized stacks, without Terraform and without an account."""

import json
import re
from collections.abc import Mapping
from typing import Any

_ACCOUNT = re.compile(r"\$\{data\.aws_caller_identity\.[\w-]+\.account_id\}")
_REFERENCE = re.compile(r"\$\{(?:\w+\()*(?:data\.)?(aws_\w+\.[\w-]+)")
_EXPRESSION = re.compile(r"\$\{[^}]*\}")
_BLOCKS = {"//", "depends_on", "lifecycle", "provider"}
# Types that take no tags, of those whose calls' policies ask for tags.
_UNTAGGED = {"aws_kms_alias"}
ACCOUNT = "000000000000"

Document = Mapping[str, Any]


def plan_of(stack: Document, *actions: str) -> Document:
    """The JSON of a plan that does the same to all of a stack, such as `create` or `delete`.

    `stack` is the document of a synthesized stack. What refers to other resources is not known in
    the plan, but for documents of policies: there, each reference stands as `*`.
    """
    document = json.loads(_ACCOUNT.sub(ACCOUNT, json.dumps(stack)))
    changes, configured = [], []
    default_tags = _default_tags(document)
    for type_, bodies in document["resource"].items():
        for name, body in bodies.items():
            address = f"{type_}.{name}"
            attributes = {key: value for key, value in body.items() if key not in _BLOCKS}
            tags = default_tags.get(str(body.get("provider", "aws")), {})
            changes.append(_change(address, actions, attributes, tags))
            expressions = {
                key: {"references": found}
                for key, value in attributes.items()
                if (found := _REFERENCE.findall(str(value)))
            }
            configured.append(
                {
                    "address": address,
                    "provider_config_key": str(body.get("provider", "aws")),
                    "expressions": expressions,
                }
            )
    return {
        "resource_changes": changes,
        "configuration": {
            "provider_config": _providers(document),
            "root_module": {"resources": configured},
        },
        "prior_state": {"values": {"root_module": {"resources": [_IDENTITY]}}},
    }


_IDENTITY = {"type": "aws_caller_identity", "mode": "data", "values": {"account_id": ACCOUNT}}


def _change(
    address: str, actions: tuple[str, ...], attributes: Document, tags: Document
) -> Document:
    known: dict[str, Any] = {}
    for key, value in attributes.items():
        if isinstance(value, str) and value.startswith("{"):
            known[key] = _EXPRESSION.sub("*", value)
        elif not _REFERENCE.search(str(value)):
            known[key] = value
    values = dict(known)
    if address.partition(".")[0] not in _UNTAGGED:
        values["tags_all"] = {**tags, **known.get("tags", {})}
    return {
        "address": address,
        "type": address.partition(".")[0],
        "change": {
            "actions": list(actions),
            "before": None if actions == ("create",) else values,
            "after": None if actions == ("delete",) else values,
        },
    }


def _providers(document: Document) -> Document:
    return {
        f"aws.{provider['alias']}" if "alias" in provider else "aws": {
            "expressions": {"region": {"constant_value": provider["region"]}}
        }
        for provider in document["provider"]["aws"]
    }


def _default_tags(document: Document) -> Mapping[str, Document]:
    """The tags that each provider gives to its resources."""
    return {
        f"aws.{provider['alias']}" if "alias" in provider else "aws": {
            name: value
            for tags in provider.get("default_tags", [])
            for name, value in tags["tags"].items()
        }
        for provider in document["provider"]["aws"]
    }
