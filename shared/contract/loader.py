"""Typed access to `contract.toml`: the names and values that both halves know."""

import datetime
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from packaging.version import Version

from shared.cli.errors import UserError
from shared.naming import PLATFORM

CONTRACT_FILE = Path(__file__).parents[1] / "contract.toml"
# The SSM parameter that holds the version of what is published beside it.
VERSION_NAME = "contract-version"
SSM_TYPE_PREFIX = "AWS::SSM::Parameter::Value<"

_FIELDS = {"name", "type", "description"}
_OPTIONAL_FIELDS = {"since", "deprecated", "replaced_by"}
_NAME = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)*")
_LOGICAL_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
_TYPE = re.compile(r"AWS::SSM::Parameter::Value<(List<)?(String|AWS(::[A-Za-z0-9]+)+)>{1,2}")
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_NAME_KEY = re.compile(r"[a-z]+(_[a-z]+)*")


@dataclass(frozen=True)
class Parameter:
    """One published value; `since` is the contract's version that brought it."""

    logical_name: str
    name: str
    type: str
    description: str
    since: Version
    deprecated: datetime.date | None = None
    replaced_by: str | None = None

    @property
    def short_type(self) -> str:
        """What the type says of the value, such as `List<AWS::EC2::Subnet::Id>`."""
        return short_type(self.type)

    @property
    def ssm_type(self) -> Literal["String", "StringList"]:
        """The type that the SSM parameter itself must have."""
        return "StringList" if "Value<List<" in self.type else "String"


@dataclass(frozen=True)
class Contract:
    """All published values in the order of the file, and the forms of shared names."""

    version: Version
    parameters: tuple[Parameter, ...]
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, key: str, **fields: str) -> str:
        """A shared name, such as `name("preview_folder", stage="pr-42")`.

        Raises:
            KeyError: the contract has no such name, or its form has a field that is not given.
        """
        return self.names[key].format_map(fields)

    def path(self, parameter: Parameter, environment: str) -> str:
        """The SSM parameter's full name, such as `/trading-platform/dev/v1/vpc/id`."""
        return f"{_prefix(environment, self.version.major)}/{parameter.name}"

    def version_path(self, environment: str) -> str:
        """The full name of the SSM parameter that holds the version."""
        return version_path(environment, self.version.major)

    @property
    def by_logical_name(self) -> Mapping[str, Parameter]:
        """The parameters by logical name."""
        return {parameter.logical_name: parameter for parameter in self.parameters}

    def __getitem__(self, logical_name: str) -> Parameter:
        """The parameter with that logical name; raises KeyError if there is none."""
        return self.by_logical_name[logical_name]


def version_path(environment: str, major: int) -> str:
    """The full name of the SSM parameter that holds the published version of a major version."""
    return f"{_prefix(environment, major)}/{VERSION_NAME}"


def _prefix(environment: str, major: int) -> str:
    return f"/{PLATFORM}/{environment}/v{major}"


def short_type(type_: str) -> str:
    """What the type of a template's parameter says of the value in SSM."""
    return type_.removeprefix(SSM_TYPE_PREFIX).removesuffix(">")


def load_contract(file: Path = CONTRACT_FILE) -> Contract:
    """Read and check a contract file.

    Raises:
        UserError: the file breaks a rule of the contract; the text names the file and the key.
    """
    return parse_contract(file.read_text(), str(file))


def parse_contract(text: str, file: str) -> Contract:
    """Read and check the text of a contract; `file` is what to call it.

    Raises:
        UserError: it breaks a rule of the contract; the error names the file and the key.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: not TOML: {error}") from None
    version = _version(f"{file}: version", data.get("version", ""))
    parameters = tuple(
        _parameter(f"{file}: parameters.{logical_name}", logical_name, fields, version)
        for logical_name, fields in data.get("parameters", {}).items()
    )
    names = [VERSION_NAME, *(parameter.name for parameter in parameters)]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{file}: the name {name!r} is given to two parameters")
    contract = Contract(version, parameters, _names(file, data.get("names", {})))
    for parameter in parameters:
        if parameter.replaced_by and parameter.replaced_by not in contract.by_logical_name:
            raise UserError(
                f"{file}: parameters.{parameter.logical_name}.replaced_by "
                f"{parameter.replaced_by!r}: there is no such parameter"
            )
    return contract


def _names(file: str, names: object) -> Mapping[str, str]:
    if not isinstance(names, dict):
        raise UserError(f"{file}: names {names!r}: make it a section, as in [names]")
    for key, form in names.items():
        if not _NAME_KEY.fullmatch(key) or not isinstance(form, str) or not form:
            raise UserError(
                f'{file}: names.{key} {form!r}: use a text with fields, as in "previews/{{stage}}/"'
            )
    return names


def _version(where: str, value: object) -> Version:
    if not _VERSION.fullmatch(str(value)):
        raise UserError(f"{where} {value!r}: use a semantic version such as 1.0.0")
    return Version(str(value))


def _parameter(
    where: str, logical_name: str, fields: dict[str, Any], contract_version: Version
) -> Parameter:
    if not _LOGICAL_NAME.fullmatch(logical_name):
        raise UserError(f"{where}: a logical name is made of letters and digits, as in VpcId")
    if not _FIELDS <= set(fields) <= _FIELDS | _OPTIONAL_FIELDS:
        raise UserError(
            f"{where}: give {', '.join(sorted(_FIELDS))} and, if needed, "
            f"{', '.join(sorted(_OPTIONAL_FIELDS))}"
        )
    if not _NAME.fullmatch(fields["name"]):
        raise UserError(f"{where}.name {fields['name']!r}: use words and hyphens, as in vpc/id")
    if not _TYPE.fullmatch(fields["type"]):
        raise UserError(
            f"{where}.type {fields['type']!r}: use a CloudFormation SSM parameter type, "
            "as in AWS::SSM::Parameter::Value<String>"
        )
    # Old contracts lack it: their values came with the major version.
    since = _version(f"{where}.since", fields.get("since", f"{contract_version.major}.0.0"))
    if since > contract_version:
        raise UserError(f"{where}.since {since}: the contract itself is {contract_version}")
    # In Python, a datetime is a date as well.
    if "deprecated" in fields and type(fields["deprecated"]) is not datetime.date:
        raise UserError(f"{where}.deprecated: use a date without quotes, as in 2027-01-31")
    if "replaced_by" in fields and "deprecated" not in fields:
        raise UserError(f"{where}.replaced_by: give the date `deprecated` as well")
    return Parameter(logical_name, **{**fields, "since": since})
