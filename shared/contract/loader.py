"""Typed access to `contract.toml`: the names and values that both halves know."""

import datetime
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from packaging.version import Version
from pydantic import Field, model_validator

from shared.cli.errors import UserError
from shared.naming import PLATFORM
from shared.validation import Section, read_section

CONTRACT_FILE = Path(__file__).parents[1] / "contract.toml"
# The SSM parameter with the version of the published values.
VERSION_NAME = "contract-version"
# The tag of each published value with its SHA-256 in hexadecimal.
CHECKSUM_TAG = "Checksum"
SSM_TYPE_PREFIX = "AWS::SSM::Parameter::Value<"

_NAME = "[a-z0-9-]+(/[a-z0-9-]+)*"
_TYPE = "AWS::SSM::Parameter::Value<(List<)?(String|AWS(::[A-Za-z0-9]+)+)>{1,2}"
_LOGICAL_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
_NAME_KEY = re.compile(r"[a-z]+(_[a-z]+)*")
_SemanticVersion = Annotated[
    str,
    Field(pattern=r"^\d+\.\d+\.\d+$", description="a semantic version", examples=["1.0.0"]),
]


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
    document = read_section(_Document, data, f"{file}: ")
    version = Version(document.version)
    parameters = tuple(
        _parameter(f"{file}: parameters.{logical_name}", logical_name, table, version)
        for logical_name, table in document.parameters.items()
    )
    names = [VERSION_NAME, *(parameter.name for parameter in parameters)]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{file}: the name {name!r} is given to two parameters")
    return Contract(version, parameters, document.names)


class _Document(Section):
    """The whole file."""

    version: _SemanticVersion
    names: dict[str, Any] = Field(default_factory=dict)
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key, form in self.names.items():
            if not _NAME_KEY.fullmatch(key) or not isinstance(form, str) or not form:
                raise ValueError(
                    f'names.{key} {form!r}: use a text with fields, as in "previews/{{stage}}/"'
                )
        for name, table in self.parameters.items():
            if not _LOGICAL_NAME.fullmatch(name):
                raise ValueError(
                    f"parameters.{name}: a logical name is made of letters and digits, as in VpcId"
                )
            successor = table.get("replaced_by") if isinstance(table, dict) else None
            if successor and successor not in self.parameters:
                raise ValueError(
                    f"parameters.{name}.replaced_by {successor!r}: there is no such parameter"
                )
        return self


class _Value(Section):
    """One parameter, as the file describes it."""

    name: Annotated[str, Field(pattern=f"^{_NAME}$", examples=["vpc/id"])]
    type: Annotated[
        str,
        Field(
            pattern=f"^{_TYPE}$",
            description="a CloudFormation SSM parameter type",
            examples=["AWS::SSM::Parameter::Value<String>"],
        ),
    ]
    description: str
    since: _SemanticVersion | None = None
    deprecated: (
        Annotated[
            datetime.date, Field(description="a date without quotes", examples=["2027-01-31"])
        ]
        | None
    ) = None
    replaced_by: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.replaced_by and not self.deprecated:
            raise ValueError("replaced_by: give the date `deprecated` as well")
        return self


def _parameter(where: str, logical_name: str, table: object, contract: Version) -> Parameter:
    value = read_section(_Value, table, f"{where}.")
    # Old contracts lack it: their values came with the major version.
    since = Version(value.since or f"{contract.major}.0.0")
    if since > contract:
        raise UserError(f"{where}.since {since}: the contract itself is {contract}")
    return Parameter(logical_name, **{**value.model_dump(), "since": since})
