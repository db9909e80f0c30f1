"""What a copy's data platform publishes for a release, read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.deploy.deployed import deployed_values
from service.deploy.target import Copy
from shared.contract.loader import SSM_TYPE_PREFIX, VERSION_NAME, Contract, version_path
from shared.contract.published import accepted_values
from shared.contract.template import contract_requirement, declared_parameters, parameter_overrides

# What the tool reads for each release, whatever its template takes.
_READ = ("ArtifactBucketName", "DatabaseConnectionBudget", "KmsKeyArn", "Production")


@dataclass(frozen=True)
class Platform:
    """The version of the contract, its values, and the SSM names of those that a template takes.

    `values` and `names` are by logical name. The version is of the major version that the template
    requires; a release of the past may live on an older one than this tool.
    """

    version: str
    values: Mapping[str, str]
    names: Mapping[str, str]

    @property
    def bucket(self) -> str:
        """The bucket of deployment packages."""
        return self.values["ArtifactBucketName"]

    @property
    def connections(self) -> int:
        """How many functions may run at the same time, each with a database connection."""
        return int(self.values["DatabaseConnectionBudget"])

    @property
    def proxied(self) -> bool:
        """Whether RDS Proxy stands in front of the database."""
        return self.values["DatabaseProxied"] == "true"

    @property
    def production(self) -> bool:
        """Whether real trades are booked in the environment."""
        return self.values["Production"] == "true"


def platform_of_template(copy: Copy, template: Path, contract: Contract) -> Platform:
    """What is published for a template that this contract belongs to.

    Raises:
        UserError: there is no data platform, or it is not what the template requires.
    """
    reading = accepted_values(template, contract, copy.environment, copy.region)
    names = parameter_overrides(template, contract, copy.environment)
    return Platform(reading.version, reading.values, names)


def platform_of_package(
    copy: Copy, template: Path, parameters: Mapping[str, str], contract: Contract
) -> Platform:
    """What is published for the template of a kept package, which was given these parameters.

    Raises:
        UserError: the data platform no longer publishes a value that the package needs.
    """
    declared = declared_parameters(template)
    names = {
        name: value
        for name, value in parameters.items()
        if declared[name]["Type"].startswith(SSM_TYPE_PREFIX)
    }
    major = contract_requirement(template).smallest.major
    paths = {
        **names,
        **{name: contract.path(contract[name], copy.environment) for name in _READ},
        VERSION_NAME: version_path(copy.environment, major),
    }
    values = deployed_values(paths, copy.region, copy.environment)
    return Platform(values[VERSION_NAME], values, names)
