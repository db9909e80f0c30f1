"""What a data platform publishes, read from SSM, and whether a service can live on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import boto3
from packaging.version import InvalidVersion, Version

from shared.cli.aws import answering
from shared.cli.errors import UserError
from shared.cli.table import table
from shared.contract.loader import CHECKSUM_TAG, VERSION_NAME, Contract
from shared.contract.template import Requirement, consumed_names, contract_requirement

_SSM_BATCH = 10  # the most names that GetParameters takes
_NO_VERSION = "none"


@dataclass(frozen=True)
class Published:
    """The value and the type of an SSM parameter."""

    value: str
    type: str


@dataclass(frozen=True)
class Problem:
    """Why a service cannot live on what is published: a parameter, its path, what is wrong."""

    parameter: str
    path: str
    problem: str


@dataclass(frozen=True)
class Reading:
    """The version and the values, by logical name, that there are for a service, and what is wrong.

    A value with a problem may be missing from `values`.
    """

    version: str
    values: Mapping[str, str]
    problems: Sequence[Problem]

    @property
    def empty(self) -> bool:
        """Whether nothing is published: there is no data platform."""
        return self.version == _NO_VERSION and not self.values


def read_published(paths: Iterable[str], region: str) -> dict[str, Published]:
    """Those of the SSM parameters that are there, by path.

    Raises:
        UserError: AWS (or the emulator) does not answer.
    """
    paths = list(paths)
    found: dict[str, Published] = {}
    with answering(region, "SSM Parameter Store"):
        ssm = boto3.client("ssm", region_name=region)
        for start in range(0, len(paths), _SSM_BATCH):
            answer = ssm.get_parameters(Names=paths[start : start + _SSM_BATCH])
            for each in answer["Parameters"]:
                found[each["Name"]] = Published(each["Value"], each["Type"])
    return found


def edited_by_hand(path: str, value: str, region: str) -> bool:
    """Whether somebody but the data platform has given the SSM parameter its value.

    An edit of the value leaves the tag with the checksum of the published one. A platform that was
    deployed by an older release has no such tags.

    Raises:
        UserError: AWS does not answer, or the tags may not be read.
    """
    with answering(region, "SSM Parameter Store"):
        ssm = boto3.client("ssm", region_name=region)
        tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=path)["TagList"]
    published = {tag["Key"]: tag["Value"] for tag in tags}.get(CHECKSUM_TAG)
    return published is not None and published != sha256(value.encode()).hexdigest()


def read_for(template: Path, contract: Contract, environment: str, region: str) -> Reading:
    """Read what a template's service takes from an environment's data platform in one region.

    Raises:
        UserError: AWS does not answer, or the template does not say which versions it requires.
    """
    requirement = contract_requirement(template)
    consumed = [contract[name] for name in consumed_names(template.read_text())]
    version_path = contract.version_path(environment)
    paths = {parameter: contract.path(parameter, environment) for parameter in consumed}
    found = read_published([version_path, *paths.values()], region)
    version = found[version_path].value if version_path in found else _NO_VERSION
    problems = []
    if complaint := version_problem(version, requirement):
        problems.append(Problem(VERSION_NAME, version_path, complaint))
    for parameter, path in paths.items():
        if path not in found:
            complaint = f"missing; published since {parameter.since}"
        elif found[path].type != parameter.ssm_type:
            complaint = f"wrong type: {found[path].type} instead of {parameter.ssm_type}"
        else:
            continue
        problems.append(Problem(parameter.logical_name, path, complaint))
    values = {p.logical_name: found[path].value for p, path in paths.items() if path in found}
    return Reading(version, values, problems)


def accepted_values(template: Path, contract: Contract, environment: str, region: str) -> Reading:
    """Read what a template's service takes from the contract, and refuse it if it has a problem.

    Raises:
        UserError: there is no data platform, or something is missing, of the wrong type or of a
            version that the service does not support; a table of it has been printed.
    """
    reading = read_for(template, contract, environment, region)
    if reading.empty:
        raise UserError(
            f"there is no data platform for the environment {environment} in {region}: "
            "run `make deploy-infra` first"
        )
    if reading.problems:
        print(problem_table(reading.problems), flush=True)
        raise UserError(
            f"the data platform of the environment {environment} in {region} is not what "
            f"{template.parent.name}/{template.name} needs: run `make deploy-infra` first, "
            "or release what fits it"
        )
    return reading


def version_problem(version: str, requirement: Requirement) -> str:
    """What is wrong with the version that a data platform serves; empty if nothing is."""
    needed = f"{version}, but the service needs {requirement.text}"
    try:
        served = Version(version)
    except InvalidVersion:
        return f"no version: {needed}"
    if served in requirement.versions:
        return ""
    return f"too {'old' if served < requirement.smallest else 'new'}: {needed}"


def problem_table(problems: Iterable[Problem]) -> str:
    """The problems, in columns."""
    rows = [(problem.parameter, problem.problem, problem.path) for problem in problems]
    return table([("PARAMETER", "PROBLEM", "SSM PARAMETER"), *rows])
