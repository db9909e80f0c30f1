"""What a SAM template takes from the contract."""

from pathlib import Path
from typing import Any

import yaml

from shared.contract import Contract, Parameter
from shared.errors import UserError

_SSM_TYPE_PREFIX = "AWS::SSM::Parameter::Value<"


class _TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags (`!Ref`), whose meaning does not matter here."""


_TemplateLoader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def declared_parameters(template: Path) -> dict[str, dict[str, Any]]:
    """The declarations of a template's own parameters, by logical name."""
    # The loader builds plain values only: it is a SafeLoader.
    document: dict[str, Any] = yaml.load(template.read_text(), Loader=_TemplateLoader)  # noqa: S506
    declarations: dict[str, dict[str, Any]] = document.get("Parameters", {})
    return declarations


def consumed_parameters(template: Path, contract: Contract) -> tuple[Parameter, ...]:
    """The contract's parameters that a template declares, in the template's order.

    Raises:
        UserError: the template reads an SSM parameter that the contract does not promise, or
            declares it with another type.
    """
    consumed = []
    for logical_name, declaration in declared_parameters(template).items():
        if not declaration["Type"].startswith(_SSM_TYPE_PREFIX):
            continue
        try:
            parameter = contract[logical_name]
        except KeyError:
            raise UserError(
                f"{template}: parameter {logical_name} is not in the contract; "
                "shared/contract.toml lists what the platform publishes"
            ) from None
        if declaration["Type"] != parameter.type:
            raise UserError(
                f"{template}: parameter {logical_name} has the type {declaration['Type']}, "
                f"but the contract says {parameter.type}"
            )
        consumed.append(parameter)
    return tuple(consumed)


def parameter_overrides(template: Path, contract: Contract, environment: str) -> dict[str, str]:
    """The SSM parameter's name for each parameter that `template` consumes, by logical name."""
    return {
        parameter.logical_name: contract.path(parameter, environment)
        for parameter in consumed_parameters(template, contract)
    }
