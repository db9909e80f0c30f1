"""Which values a release gives the parameters of the template."""

import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from service.deploy.build import TEMPLATE
from shared.cli.errors import UserError
from shared.contract.loader import SSM_TYPE_PREFIX
from shared.contract.template import declared_parameters

# What people edit: the parameters that an environment keeps from one release to the next.
ENVIRONMENTS = Path(__file__).parents[1] / "environments"

DIGEST = "ReleaseDigest"
DESCRIPTION = "ReleaseDescription"
CALLER_ACCOUNTS = "CallerAccounts"
HOW_CALLERS_MOVE = "DeploymentPreferenceType"
WITHOUT_CODEDEPLOY = "Disabled"
# What each release computes.
COMPUTED = frozenset({DIGEST, DESCRIPTION})
# What says which copy of the service this is.
_IDENTITY = frozenset({"EnvironmentSuffix", "ServiceStage"})

_PRODUCTION = {HOW_CALLERS_MOVE: "Canary10Percent5Minutes", "Documentation": "Disabled"}
_NO_PRODUCTION = {HOW_CALLERS_MOVE: "AllAtOnce", "Documentation": "Enabled"}
# A preview is cheap: it takes few of the database's connections and keeps logs for a short time.
_PREVIEW = {"ReservedConcurrency": "2", "LogRetentionDays": "3"}
# Only its author calls a preview, so that CodeDeploy has no callers to move. CloudFormation would
# also give CodeDeploy's application a name that no policy could tell from the environment's own: it
# makes one hyphen of two and cuts what is too long.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
_OF_EACH_PREVIEW = {HOW_CALLERS_MOVE: WITHOUT_CODEDEPLOY}


def chosen_parameters(environment: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The parameters that the environment's file sets, then `SERVICE_PARAMETERS`; the last counts.

    Raises:
        UserError: one of them is malformed, the template has no such parameter or does not allow
            the value, or the command asks for a preview with CodeDeploy.
    """
    architecture = {"LambdaArchitecture": variables.get("LAMBDA_ARCHITECTURE") or "arm64"}
    command = command_parameters(variables.get("SERVICE_PARAMETERS", ""))
    how = command.get(HOW_CALLERS_MOVE, WITHOUT_CODEDEPLOY)
    if variables.get("SERVICE_STAGE") and how != WITHOUT_CODEDEPLOY:
        raise UserError(
            f"SERVICE_PARAMETERS: {HOW_CALLERS_MOVE} {how!r}: remove it; a preview is released "
            "without CodeDeploy"
        )
    return {
        **_known("LAMBDA_ARCHITECTURE", architecture),
        **environment_parameters(environment),
        **command,
    }


def environment_parameters(environment: str, folder: Path = ENVIRONMENTS) -> dict[str, str]:
    """The parameters in the environment's file; none if it has no file.

    Raises:
        UserError: it is no TOML, a value is neither text nor a whole number, or the template has no
            such parameter.
    """
    file = folder / f"{environment}.toml"
    try:
        document = tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: not TOML: {error}") from None
    for name, value in document.items():
        if type(value) not in (str, int):
            raise UserError(f"{file}: {name} {value!r}: use text or a whole number")
    return _known(file.name, {name: str(value) for name, value in document.items()})


def command_parameters(text: str) -> dict[str, str]:
    """Read `SERVICE_PARAMETERS`, such as `A=1 B="x y"`; the last value of a name counts.

    Raises:
        UserError: it does not have that form, or the template has no such parameter.
    """
    try:
        pairs = [part.partition("=") for part in shlex.split(text)]
    except ValueError as error:
        raise UserError(f"SERVICE_PARAMETERS {text!r}: {error}") from None
    for name, equals, _ in pairs:
        if not equals:
            raise UserError(f"SERVICE_PARAMETERS: {name!r} has no value; write Name=value")
    return _known("SERVICE_PARAMETERS", {name: value for name, _, value in pairs})


def release_parameters(
    chosen: Mapping[str, str], environment: str, stage: str, *, production: bool
) -> dict[str, str]:
    """Every parameter of the template but the contract's and the computed ones.

    Each is given, so that none keeps the value of an earlier release: CloudFormation takes the
    deployed value of a parameter that a deploy does not name.
    """
    own = {
        name: str(declaration.get("Default", ""))
        for name, declaration in declared_parameters(TEMPLATE).items()
        if not declaration["Type"].startswith(SSM_TYPE_PREFIX) and name not in COMPUTED
    }
    return {
        **own,
        **(_PRODUCTION if production else _NO_PRODUCTION),
        **(_PREVIEW if stage else {}),
        **chosen,
        **(_OF_EACH_PREVIEW if stage else {}),
        "EnvironmentSuffix": environment,
        "ServiceStage": stage,
    }


def changed_parameters(
    deployed: Mapping[str, str], wanted: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """The value that is deployed and the one that is wanted, by parameter, where they differ."""
    return {
        name: (deployed.get(name, ""), value)
        for name, value in sorted(wanted.items())
        if name not in COMPUTED and deployed.get(name, "") != value
    }


def _known(where: str, parameters: dict[str, str]) -> dict[str, str]:
    own = declared_parameters(TEMPLATE)
    known = own.keys() - _IDENTITY - COMPUTED
    for name, value in parameters.items():
        if name not in known or own[name]["Type"].startswith(SSM_TYPE_PREFIX):
            raise UserError(
                f"{where}: {name!r} is no parameter that a release can choose; {TEMPLATE} has them"
            )
        if wanted := _violation(own[name], value):
            raise UserError(f"{where}: {name} {value!r}: use {wanted}")
    return parameters


def _violation(declaration: Mapping[str, Any], value: str) -> str:
    """What the declaration of a parameter wants instead of the value; empty if it allows it.

    CloudFormation would refuse the value as well, but only after everything is built and uploaded.
    """
    allowed = [str(each) for each in declaration.get("AllowedValues", ())]
    if allowed and value not in allowed:
        return "one of " + ", ".join(each or "(empty)" for each in allowed)
    pattern = declaration.get("AllowedPattern", ".*")
    if not re.fullmatch(pattern, value):
        return f"what {pattern} matches"
    smallest = declaration.get("MinValue")
    if smallest is not None and not (value.isdecimal() and int(value) >= smallest):
        return f"a whole number from {smallest}"
    return ""
