"""Compares what the service was released with and what exists now."""

import sys
from collections.abc import Iterator, Mapping

from service.deploy.connections import RESERVED_CONCURRENCY
from service.deploy.deployed import DeployedStack, deployed_stack
from service.deploy.history import ALIAS, current_release, list_releases
from service.deploy.parameters import HOW_CALLERS_MOVE, changed_parameters, release_parameters
from service.deploy.stack_status import why_not
from service.deploy.target import Copy, Target
from shared.cli.errors import UserError, exit_code
from shared.contract.loader import VERSION_NAME, load_contract, version_path
from shared.contract.published import edited_by_hand, read_published, version_problem
from shared.contract.template import requirement_in


def main() -> None:
    """Print what must be acted on in each of the environment's regions, and by whom.

    Raises:
        UserError: there is something, or AWS does not answer.
    """
    target = Target.from_environment()
    drifted = []
    for copy in target.copies:
        stack = deployed_stack(copy.stack, copy.region)
        if stack is None:
            print(f"{copy.stack}: not deployed", flush=True)
            continue
        stuck = list(stack_findings(stack, copy.region))
        findings = [
            *value_findings(stack, copy.region, copy.environment),
            *(stuck or parameter_findings(stack, copy, target.parameters)),
            *([] if stuck else alias_findings(stack, copy.region)),
        ]
        for finding in findings or ["no drift"]:
            print(f"{copy.stack}: {finding}", flush=True)
        if findings:
            drifted.append(copy.stack)
    if drifted:
        raise UserError(f"{', '.join(drifted)}: see above who must act")


def value_findings(stack: DeployedStack, region: str, environment: str) -> Iterator[str]:
    """How what is published differs from what the service was released with, and from its needs.

    Raises:
        UserError: AWS does not answer.
    """
    requirement = requirement_in(stack.template(region), stack.name)
    # Of the major version that this service requires; there may be others.
    version_name = version_path(environment, requirement.smallest.major)
    found = read_published([version_name, *stack.resolved], region)
    version = found[version_name].value if version_name in found else "none"
    if problem := version_problem(version, requirement):
        who = "service must be redeployed" if "too new" in problem else "infra must be applied"
        yield f"{who}: {VERSION_NAME} is {problem}"
    for path, value in stack.resolved.items():
        name = path.removeprefix(version_name.removesuffix(VERSION_NAME))
        if path not in found:
            yield f"infra must be applied: {name} is gone, but the service was released with it"
        elif found[path].value != value:
            now = found[path].value
            cause = (
                f"infra must be applied: {name} was edited by hand"
                if edited_by_hand(path, now, region)
                else f"service must be redeployed: {name} changed"
            )
            yield f"{cause} ({value} -> {now})"


def parameter_findings(
    stack: DeployedStack, copy: Copy, chosen: Mapping[str, str]
) -> Iterator[str]:
    """How the deployed parameters differ from what the next release would give them.

    Raises:
        UserError: AWS does not answer.
    """
    if stack.changes:
        return
    contract = load_contract()
    name = contract.path(contract["Production"], copy.environment)
    published = read_published([name], copy.region)
    production = name in published and published[name].value == "true"
    wanted = release_parameters(chosen, copy.environment, copy.stage, production=production)
    # A rollback moves callers without CodeDeploy; the next release has it again.
    wanted.pop(HOW_CALLERS_MOVE)
    # The release computes it from the database's connections and the account's limit.
    if RESERVED_CONCURRENCY not in chosen and not copy.stage:
        wanted.pop(RESERVED_CONCURRENCY)
    for parameter, (deployed, value) in changed_parameters(stack.parameters, wanted).items():
        yield (
            f"service must be redeployed: parameter {parameter} is {deployed!r}, but its sources "
            f"say {value!r}"
        )


def stack_findings(stack: DeployedStack, region: str) -> Iterator[str]:
    """Whether a release has failed so that the stack can take no other one."""
    if not stack.changes and (problem := why_not(stack.name, region, stack.status)):
        yield f"service must be repaired: {problem}"


def alias_findings(stack: DeployedStack, region: str) -> Iterator[str]:
    """Whether somebody has moved callers to a version other than the released one.

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
