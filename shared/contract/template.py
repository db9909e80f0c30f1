"""What a SAM template takes from the contract."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from shared.cli.errors import UserError
from shared.contract.loader import SSM_TYPE_PREFIX, Contract, Parameter, short_type


class _TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags (`!Ref`), whose meaning does not matter here."""


_TemplateLoader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


@dataclass(frozen=True)
class Requirement:
    """The versions of the contract that a service supports, and the smallest of them."""

    text: str
    versions: SpecifierSet
    smallest: Version


def declared_parameters(template: Path) -> Mapping[str, Mapping[str, Any]]:
    """The declarations of a template's parameters, by logical name."""
    declarations: Mapping[str, Mapping[str, Any]] = _document(template.read_text()).get(
        "Parameters", {}
    )
    return declarations


def consumed_names(text: str) -> tuple[str, ...]:
    """What a template's service takes from the contract, by logical name.

    That is what the template declares, for CloudFormation to read, and then what it lists under
    `Metadata.Contract.ReadByDeploy`, which the deploy reads.
    """
    document = _document(text)
    return (*_declared_types(document), *_metadata(document).get("ReadByDeploy", []))


def contract_requirement(template: Path) -> Requirement:
    """The versions that `Metadata.Contract.Requires` asks for, such as `>=1.1.0,<2.0.0`.

    Raises:
        UserError: the template does not say, or not from which version on.
    """
    return requirement_in(template.read_text(), str(template))


def requirement_in(template: str, name: str) -> Requirement:
    """The same for a template's text; `name` stands for the template in errors.

    Raises:
        UserError: the template does not say, or not from which version on.
    """
    text = str(_metadata(_document(template)).get("Requires", ""))
    try:
        versions = SpecifierSet(text)
        (smallest,) = (each.version for each in versions if each.operator == ">=")
    except (InvalidSpecifier, ValueError):
        raise UserError(
            f"{name}: Metadata.Contract.Requires {text!r}: say from which version of the "
            'contract on, and up to which, as in ">=1.1.0,<2.0.0"'
        ) from None
    return Requirement(text, versions, Version(smallest))


def template_problems(template: Path, contract: Contract) -> dict[str, str]:
    """How what a template takes differs from what the contract promises, by logical name."""
    document = _document(template.read_text())
    types = _declared_types(document)
    promised = contract.by_logical_name
    problems = {}
    for name in consumed_names(template.read_text()):
        if name not in promised:
            problems[name] = "is not in the contract"
        elif types.get(name, promised[name].type) != promised[name].type:
            problems[name] = (
                f"has the type {short_type(types[name])}, "
                f"but the contract says {promised[name].short_type}"
            )
    return problems


def missing_names(template: Path, contract: Contract) -> tuple[str, ...]:
    """The keys of the shared names that no text of a template has the form of.

    A field of the form is a substitution in the template: `{stage}` is `${ServiceStage}`.
    """
    text = template.read_text()
    return tuple(
        key
        for key, form in contract.names.items()
        if not re.search(r"\$\{\w+\}".join(map(re.escape, re.split(r"\{\w+\}", form))), text)
    )


def consumed_parameters(template: Path, contract: Contract) -> tuple[Parameter, ...]:
    """The contract's parameters that a template declares, in the template's order.

    Raises:
        UserError: the service reads an SSM parameter that the contract does not promise, or the
            template declares it with another type.
    """
    for name, problem in template_problems(template, contract).items():
        raise UserError(
            f"{template}: parameter {name} {problem}; "
            "shared/contract.toml lists what the platform publishes"
        )
    return tuple(contract[name] for name in _declared_types(_document(template.read_text())))


def parameter_overrides(template: Path, contract: Contract, environment: str) -> dict[str, str]:
    """The SSM parameter's name for each parameter that `template` consumes, by logical name."""
    return {
        parameter.logical_name: contract.path(parameter, environment)
        for parameter in consumed_parameters(template, contract)
    }


@functools.lru_cache(maxsize=8)
def _document(text: str) -> Mapping[str, Any]:
    # A release asks a dozen times, and a template takes a fifth of a second to parse.
    # The loader builds plain values only: it is a SafeLoader.
    document: Mapping[str, Any] = yaml.load(text, Loader=_TemplateLoader)  # noqa: S506
    return document


def _metadata(document: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = document.get("Metadata", {}).get("Contract", {})
    return metadata


def _declared_types(document: Mapping[str, Any]) -> dict[str, str]:
    """The types of the parameters that CloudFormation reads from SSM, by logical name."""
    return {
        name: declaration["Type"]
        for name, declaration in document.get("Parameters", {}).items()
        if declaration["Type"].startswith(SSM_TYPE_PREFIX)
    }
