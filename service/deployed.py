"""What is deployed: the values that the data platform published, and the service's stack."""

from collections.abc import Mapping
from dataclasses import dataclass

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import UserError
from shared.published import read_published


@dataclass(frozen=True)
class DeployedStack:
    """What CloudFormation says of the service's stack in a region.

    `parameters` are as they were given, a name for each value from SSM; `resolved` are the values
    of those, by that name, that the service was released with.
    """

    name: str
    status: str
    parameters: Mapping[str, str]
    resolved: Mapping[str, str]
    outputs: Mapping[str, str]


def deployed_stack(name: str, region: str) -> DeployedStack | None:
    """The stack, or None if there is none.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Parameter.html

    Raises:
        UserError: AWS (or the emulator) does not answer.
    """
    try:
        cloudformation = boto3.client("cloudformation", region_name=region)
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        if "does not exist" in str(error):
            return None
        raise UserError(f"CloudFormation in {region} does not answer: {error}") from None
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
        {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])},
    )


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
            f"({missing[0]} is not there): run `make deploy-infra` first"
        )
    return {key: found[path].value for key, path in names.items()}
