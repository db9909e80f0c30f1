"""Typed access to `contract.toml`: what the data platform publishes and services may consume."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shared.errors import UserError
from shared.naming import PLATFORM

CONTRACT_FILE = Path(__file__).with_name("contract.toml")

_FIELDS = {"name", "type", "description"}
_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)*")
_LOGICAL_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
_TYPE = re.compile(r"AWS::SSM::Parameter::Value<(List<)?(String|AWS(::[A-Za-z0-9]+)+)>{1,2}")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Parameter:
    """One published value."""

    logical_name: str
    name: str
    type: str
    description: str

    @property
    def ssm_type(self) -> Literal["String", "StringList"]:
        """The type that the SSM parameter itself must have."""
        return "StringList" if "Value<List<" in self.type else "String"


@dataclass(frozen=True)
class Contract:
    """All published values, in the order of the file."""

    version: str
    parameters: tuple[Parameter, ...]

    def path(self, parameter: Parameter, environment: str) -> str:
        """The SSM parameter's full name, such as `/trading-platform/dev/v1/vpc/id`."""
        major = self.version.partition(".")[0]
        return f"/{PLATFORM}/{environment}/v{major}/{parameter.name}"

    def __getitem__(self, logical_name: str) -> Parameter:
        """The parameter with that logical name; raises KeyError if there is none."""
        for parameter in self.parameters:
            if parameter.logical_name == logical_name:
                return parameter
        raise KeyError(logical_name)


def load_contract(file: Path = CONTRACT_FILE) -> Contract:
    """Read and check a contract file.

    Raises:
        UserError: the file breaks a rule of the contract; the text names the file and the key.
    """
    try:
        data = tomllib.loads(file.read_text())
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: not TOML: {error}") from None
    version = data.get("version", "")
    if not _VERSION.fullmatch(str(version)):
        raise UserError(f"{file}: version {version!r}: use a semantic version such as 1.0.0")
    parameters = tuple(
        _parameter(file, logical_name, fields)
        for logical_name, fields in data.get("parameters", {}).items()
    )
    names = [parameter.name for parameter in parameters]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{file}: the name {name!r} is given to two parameters")
    return Contract(version, parameters)


def _parameter(file: Path, logical_name: str, fields: dict[str, str]) -> Parameter:
    where = f"{file}: parameters.{logical_name}"
    if not _LOGICAL_NAME.fullmatch(logical_name):
        raise UserError(f"{where}: a logical name is made of letters and digits, as in VpcId")
    if set(fields) != _FIELDS:
        raise UserError(f"{where}: give exactly {', '.join(sorted(_FIELDS))}")
    if not _NAME.fullmatch(fields["name"]):
        raise UserError(f"{where}.name {fields['name']!r}: use words and hyphens, as in vpc/id")
    if not _TYPE.fullmatch(fields["type"]):
        raise UserError(
            f"{where}.type {fields['type']!r}: use a CloudFormation SSM parameter type, "
            "as in AWS::SSM::Parameter::Value<String>"
        )
    return Parameter(logical_name, **fields)
