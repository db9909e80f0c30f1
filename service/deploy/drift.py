"""Says what the service was released with that is not so any more."""

import os
import sys
from collections.abc import Iterator

from service.deploy.deployed import DeployedStack, deployed_stack
from service.deploy.history import ALIAS, current_release, list_releases
from service.deploy.stack_status import why_not
from shared.cli.errors import UserError, exit_code
from shared.contract.loader import VERSION_NAME, Contract
from shared.contract.published import read_published, version_problem
from shared.contract.template import requirement_in
from shared.naming import (
    check_environment_suffix,
    check_regions,
    check_service_stage,
    service_stack_name,
)


def main() -> None:
    """Print what must be acted on in each of the environment's regions, and by whom.

    Raises:
        UserError: there is something, or AWS does not answer.
    """
    environment = check_environment_suffix(os.environ.get("ENVIRONMENT_SUFFIX", "dev"))
    stage = check_service_stage(os.environ.get("SERVICE_STAGE", ""))
    drifted = []
    for region in check_regions(os.environ.get("REGIONS", "us-east-1")):
        name = service_stack_name(region, environment, stage)
        stack = deployed_stack(name, region)
        if stack is None:
            print(f"{name}: not deployed", flush=True)
            continue
        stuck = list(stack_findings(stack, region))
        findings = [
            *value_findings(stack, region, environment),
            *(stuck or alias_findings(stack, region)),
        ]
        for finding in findings or ["no drift"]:
            print(f"{name}: {finding}", flush=True)
        if findings:
            drifted.append(name)
    if drifted:
        raise UserError(f"{', '.join(drifted)}: see above who must act")


def value_findings(stack: DeployedStack, region: str, environment: str) -> Iterator[str]:
    """How what is published differs from what the service was released with, and from its needs.

    Raises:
        UserError: AWS does not answer.
    """
    requirement = requirement_in(stack.template(region), stack.name)
    # Of the major version that this service lives on; there may be others.
    version_path = Contract(requirement.smallest, ()).version_path(environment)
    found = read_published([version_path, *stack.resolved], region)
    version = found[version_path].value if version_path in found else "none"
    if problem := version_problem(version, requirement):
        who = "service must be released anew" if "too new" in problem else "infra must be applied"
        yield f"{who}: {VERSION_NAME} is {problem}"
    for path, value in stack.resolved.items():
        name = path.removeprefix(version_path.removesuffix(VERSION_NAME))
        if path not in found:
            yield f"infra must be applied: {name} is gone, which the service was released with"
        elif found[path].value != value:
            yield f"service must be redeployed: {name} changed ({value} -> {found[path].value})"


def stack_findings(stack: DeployedStack, region: str) -> Iterator[str]:
    """Whether a release has failed so that the stack takes no other one."""
    if not stack.changes and (problem := why_not(stack.name, region, stack.status)):
        yield f"service must be mended: {problem}"


def alias_findings(stack: DeployedStack, region: str) -> Iterator[str]:
    """Whether somebody has moved callers to another version than that which was released.

    Raises:
        UserError: AWS does not answer.
    """
    if stack.changes:
        return  # CodeDeploy may be moving them
    releases = list_releases(stack, region)
    called = [release for release in releases if release.calls]
    if called != [current := current_release(releases)]:
        versions = " and ".join(str(release.version) for release in called)
        yield (
            f"service must move the alias {ALIAS} back to version {current.version}: somebody has "
            f"moved it to {versions or 'an old version'}"
        )


if __name__ == "__main__":
    sys.exit(exit_code(main))
