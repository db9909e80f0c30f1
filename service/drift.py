"""Says what the deployed service was released with that is not so any more: `-m service.drift`."""

import os
import sys
from collections.abc import Iterator

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from service.deployed import DeployedStack, deployed_stack
from service.releases import ALIAS
from shared.contract import VERSION_NAME, Contract
from shared.errors import UserError, exit_code
from shared.naming import check_environment_suffix, check_regions, service_stack_name
from shared.published import read_published, version_problem
from shared.template import requirement_in

_VERSION = "AWS::Lambda::Version"


def main() -> None:
    """Print what must be acted on in each of the environment's regions, and by whom.

    Raises:
        UserError: there is something, or AWS does not answer.
    """
    environment = check_environment_suffix(os.environ.get("ENVIRONMENT_SUFFIX", "dev"))
    drifted = []
    for region in check_regions(os.environ.get("REGIONS", "us-east-1")):
        name = service_stack_name(region, environment)
        stack = deployed_stack(name, region)
        if stack is None:
            print(f"{name}: not deployed", flush=True)
            continue
        try:
            findings = [*value_findings(stack, region, environment), *alias_findings(stack, region)]
        except (BotoCoreError, ClientError) as error:
            raise UserError(f"AWS in {region} does not answer: {error}") from None
        for finding in findings or ["no drift"]:
            print(f"{name}: {finding}", flush=True)
        if findings:
            drifted.append(name)
    if drifted:
        raise UserError(f"{', '.join(drifted)}: somebody must act")


def value_findings(stack: DeployedStack, region: str, environment: str) -> Iterator[str]:
    """How what is published differs from what the service was released with, and from its needs."""
    cloudformation = boto3.client("cloudformation", region_name=region)
    template = cloudformation.get_template(StackName=stack.name, TemplateStage="Original")
    requirement = requirement_in(str(template["TemplateBody"]), stack.name)
    # Another major version of the contract may be there as well.
    version_path = Contract(requirement.smallest, ()).version_path(environment)
    prefix = version_path.removesuffix(VERSION_NAME)
    found = read_published([version_path, *stack.resolved], region)
    version = found[version_path].value if version_path in found else "none"
    if problem := version_problem(version, requirement):
        who = "service must be released anew" if "too new" in problem else "infra must be applied"
        yield f"{who}: {VERSION_NAME} is {problem}"
    for path, value in stack.resolved.items():
        name = path.removeprefix(prefix)
        if path not in found:
            yield f"infra must be applied: {name} is gone, which the service was released with"
        elif found[path].value != value:
            yield f"service must be redeployed: {name} changed ({value} -> {found[path].value})"


def alias_findings(stack: DeployedStack, region: str) -> Iterator[str]:
    """Whether callers get another version than that which was released."""
    if stack.status.endswith("_IN_PROGRESS"):
        return  # then CodeDeploy moves it
    function = stack.outputs["LambdaFunctionName"]
    cloudformation = boto3.client("cloudformation", region_name=region)
    resources = cloudformation.describe_stack_resources(StackName=stack.name)["StackResources"]
    (released,) = (
        each["PhysicalResourceId"].rpartition(":")[2]
        for each in resources
        if each["ResourceType"] == _VERSION and f":{function}:" in each["PhysicalResourceId"]
    )
    alias = boto3.client("lambda", region_name=region).get_alias(FunctionName=function, Name=ALIAS)
    others = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    if (live := ", ".join([alias["FunctionVersion"], *others])) != released:
        yield (
            f"service must move the alias {ALIAS} of {function} back to version {released}: it "
            f"was moved by hand to {live}"
        )


if __name__ == "__main__":
    sys.exit(exit_code(main))
