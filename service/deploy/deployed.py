"""What is deployed: the values that the data platform published, and the service's stack."""

from collections.abc import Mapping
from dataclasses import dataclass

import boto3

from service.deploy.target import Copy
from shared.cli.aws import answering, find_stack
from shared.cli.errors import UserError
from shared.contract.loader import load_contract
from shared.contract.published import read_published


@dataclass(frozen=True)
class DeployedStack:
    """What CloudFormation says of the service's stack in a region.

    `parameters` are as they were given: the name of the SSM parameter for each that comes from SSM.
    `resolved` are the values that the service was released with, by these names.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Parameter.html
    """

    name: str
    status: str
    parameters: Mapping[str, str]
    resolved: Mapping[str, str]

    @property
    def changes(self) -> bool:
        """Whether an operation is under way."""
        return self.status.endswith("_IN_PROGRESS")

    def template(self, region: str) -> str:
        """The template as it was handed to CloudFormation.

        Raises:
            UserError: AWS does not answer.
        """
        with answering(region):
            cloudformation = boto3.client("cloudformation", region_name=region)
            answer = cloudformation.get_template(StackName=self.name, TemplateStage="Original")
            return str(answer["TemplateBody"])

    def resources(self, region: str) -> dict[str, str]:
        """The physical IDs of the stack's resources, by logical name.

        Raises:
            UserError: AWS does not answer.
        """
        with answering(region):
            cloudformation = boto3.client("cloudformation", region_name=region)
            pages = cloudformation.get_paginator("list_stack_resources").paginate(
                StackName=self.name
            )
            return {
                each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
                for page in pages
                for each in page["StackResourceSummaries"]
            }


def deployed_stack(name: str, region: str) -> DeployedStack | None:
    """The stack of that name, or None if there is none.

    Raises:
        UserError: AWS does not answer.
    """
    stack = find_stack(name, region)
    # A stack in review has a change set that nobody has executed.
    if stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS":
        return None
    parameters = stack.get("Parameters", [])
    return DeployedStack(
        name,
        stack["StackStatus"],
        {each["ParameterKey"]: each["ParameterValue"] for each in parameters},
        {
            each["ParameterValue"]: each["ResolvedValue"]
            for each in parameters
            if "ResolvedValue" in each
        },
    )


def existing_stack(copy: Copy) -> DeployedStack:
    """The stack of a copy of the service.

    Raises:
        UserError: it is not deployed, or AWS does not answer.
    """
    stack = deployed_stack(copy.stack, copy.region)
    if stack is None:
        stage = f" SERVICE_STAGE={copy.stage}" if copy.stage else ""
        raise UserError(f"{copy.stack} is not deployed: run `make deploy-service{stage}`")
    return stack


def service_stack(copy: Copy) -> tuple[DeployedStack, str]:
    """The stack of a copy of the service, and the bucket of its packages.

    Raises:
        UserError: it is not deployed, or AWS does not answer.
    """
    return existing_stack(copy), artifact_bucket(copy)


def artifact_bucket(copy: Copy) -> str:
    """The bucket of the deployment packages of the copy's environment.

    Raises:
        UserError: there is no data platform, or AWS does not answer.
    """
    contract = load_contract()
    names = {"bucket": contract.path(contract["ArtifactBucketName"], copy.environment)}
    return deployed_values(names, copy.region, copy.environment)["bucket"]


def deployed_values(names: Mapping[str, str], region: str, environment: str) -> dict[str, str]:
    """The value of each SSM parameter in `names`, by the same key.

    Raises:
        UserError: a value is not deployed, or AWS (or the emulator) does not answer.
    """
    found = read_published(names.values(), region)
    missing = [path for path in names.values() if path not in found]
    if missing:
        raise UserError(
            f"there is no data platform for the environment {environment} in {region} "
            f"({missing[0]} does not exist): run `make deploy-infra` first"
        )
    return {key: found[path].value for key, path in names.items()}
