"""Deploys the service with the SAM CLI: `python -m service.deploy.commands deploy`."""

import argparse
import hashlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.deploy.connections import (
    check_reserved_concurrency,
    reserved_concurrency,
)
from service.deploy.deployed import DeployedStack, deployed_stack, deployed_values
from service.deploy.history import (
    Origin,
    Release,
    current_release,
    list_releases,
    release_table,
    release_to_restore,
    source_commit,
)
from service.deploy.kept_packages import keep_package, kept_versions, load_package
from service.deploy.previews import find_previews, reserved_beside
from service.deploy.stack_status import check_releasable
from shared.cli.errors import UserError, exit_code
from shared.cli.in_regions import LOGS, RegionRun, parallel_limit, run_in_regions
from shared.contract.loader import SSM_TYPE_PREFIX, VERSION_NAME, Contract, load_contract
from shared.contract.published import published_values
from shared.contract.template import contract_requirement, declared_parameters, parameter_overrides
from shared.naming import (
    check_environment_suffix,
    check_regions,
    check_service_stage,
    service_stack_name,
)

FOLDER = Path(__file__).parents[1]
TEMPLATE = FOLDER / "template.yaml"
BUILT_TEMPLATE = FOLDER / ".aws-sam" / "build" / "template.yaml"

# The environments with real callers, and the template's parameters that depend on it.
PRODUCTION = ("prod", "production")
_BY_ENVIRONMENT: Mapping[bool, Mapping[str, str]] = {
    True: {"DeploymentPreferenceType": "Canary10Percent5Minutes", "Documentation": "Disabled"},
    False: {"DeploymentPreferenceType": "AllAtOnce", "Documentation": "Enabled"},
}
# A preview is cheap: a few of the database's connections, and logs that are soon forgotten.
_PREVIEW: Mapping[str, str] = {"ReservedConcurrency": "2", "LogRetentionDays": "3"}
# What says which copy of the service this is; the values are those of the variables.
_IDENTITY = {"EnvironmentSuffix", "ServiceStage", "ReleaseDigest", "ReleaseDescription"}
# What each release brings along anew, whatever it was made of.
_OF_EACH_RELEASE = ("ReleaseDigest", "ReleaseDescription")
# The host name of an RDS Proxy: `<name>.proxy-<id>.<region>.rds.amazonaws.com`.
_PROXY_MARK = ".proxy-"


@dataclass(frozen=True)
class Copy:
    """One copy of the service: that of an environment in a region, or a preview beside it."""

    region: str
    environment: str
    stage: str

    @property
    def stack(self) -> str:
        """The name of its stack."""
        return service_stack_name(self.region, self.environment, self.stage)


def deploy(region: str, environment: str, stage: str = "") -> None:
    """Release the built service in one region; with a stage, as a preview.

    Raises:
        UserError: the service is not built, the data platform does not publish what it needs, takes
            no previews or has too few database connections for it, the stack takes no release now,
            or SAM failed.
    """
    if not BUILT_TEMPLATE.is_file():
        raise UserError("the service is not built: run `make build-service`")
    if not (BUILT_TEMPLATE.parent / "TradeFunction" / "trading" / "rds-ca.pem").is_file():
        raise UserError(
            "the build trusts no authority for the database's certificate: build it where AWS's "
            "bundle can be fetched, or name a file with RDS_CA_BUNDLE=path"
        )
    contract = load_contract()
    own = {
        "EnvironmentSuffix": environment,
        "LambdaArchitecture": os.environ.get("LAMBDA_ARCHITECTURE", "arm64"),
        **_BY_ENVIRONMENT[environment in PRODUCTION],
        **({"ServiceStage": stage, **_PREVIEW} if stage else {}),
        **service_parameters(os.environ.get("SERVICE_PARAMETERS", "")),
    }
    names = parameter_overrides(TEMPLATE, contract, environment)
    values = published_values(TEMPLATE, contract, environment, region)
    if stage and _PROXY_MARK in values["DatabaseWriterEndpoint"]:
        raise UserError(
            f"the database of the environment {environment} in {region} is behind RDS Proxy, which "
            "admits the users it was made for and no preview's"
        )
    _release(
        Copy(region, environment, stage),
        BUILT_TEMPLATE,
        build=build_digest(BUILT_TEMPLATE),
        own=own,
        names=names,
        commit=source_commit(FOLDER),
    )


def rollback(region: str, environment: str, stage: str = "") -> None:
    """Release again what was released before, or the version that `TO` names.

    Template, code and parameters are those of that release; the values of the contract are those of
    now. All callers move at once, whatever the release's own way is. The database's schema stays.

    Raises:
        UserError: there is no such release, the data platform does not publish any more what it
            needs, the stack takes no release now, or SAM failed.
    """
    copy = Copy(region, environment, stage)
    target, bucket = rollback_target(copy)
    package = load_package(copy.stack, bucket, region, target.version)
    print(f"{copy.stack}: version {target.version} again ({target.origin})", flush=True)
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        template = Path(folder) / "template.yaml"
        template.write_text(package.template)
        declared = declared_parameters(template)
        given = {n: v for n, v in package.parameters.items() if n not in _OF_EACH_RELEASE}
        names = {n: v for n, v in given.items() if declared[n]["Type"].startswith(SSM_TYPE_PREFIX)}
        _release(
            copy,
            template,
            build=package.build,
            own={n: v for n, v in given.items() if n not in names},
            names=names,
            commit=target.origin.commit,
            restores=target.first,
        )


def rollback_target(copy: Copy) -> tuple[Release, str]:
    """The release that a rollback goes back to, and the bucket of its package.

    Raises:
        UserError: there is no such release, or the stack takes none now.
    """
    check_releasable(copy.stack, copy.region)
    stack, bucket = _deployed(copy)
    kept = kept_versions(stack.name, bucket, copy.region)
    found = list_releases(stack, copy.region)
    try:
        return release_to_restore(found, kept, os.environ.get("TO", "")), bucket
    except UserError as error:
        raise UserError(f"{stack.name}: {error}") from None


def releases(region: str, environment: str, stage: str = "") -> None:
    """List the latest releases, and where the callers are.

    Raises:
        UserError: the service is not deployed, or AWS does not answer.
    """
    stack, bucket = _deployed(Copy(region, environment, stage))
    print(release_table(list_releases(stack, region), kept_versions(stack.name, bucket, region)))


def build_digest(built_template: Path) -> str:
    """SHA-256 of the built code and the template, in hexadecimal."""
    digest = hashlib.sha256()
    folder = built_template.parent
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"\0{file.relative_to(folder)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def release_digest(build: str, values: Mapping[str, str]) -> str:
    """SHA-256 of a build's digest and the values of the template's parameters, in hexadecimal.

    CloudFormation publishes a version of a function when this changes. What SAM hashes by itself
    leaves out the values of SSM parameters: a database with a new address alone would reach no
    version, and so no caller.
    https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html#sam-function-autopublishcodesha256
    """
    return hashlib.sha256(repr((build, sorted(values.items()))).encode()).hexdigest()


def service_parameters(text: str) -> dict[str, str]:
    """Read `SERVICE_PARAMETERS`, parameters of the template such as `A=1 B="x y"`; the last counts.

    Raises:
        UserError: this is not of that form, or the template has no such parameter.
    """
    try:
        pairs = [part.partition("=") for part in shlex.split(text)]
    except ValueError as error:
        raise UserError(f"SERVICE_PARAMETERS {text!r}: {error}") from None
    known = declared_parameters(TEMPLATE).keys() - _IDENTITY
    for name, equals, _ in pairs:
        if not equals or name not in known:
            raise UserError(
                f"SERVICE_PARAMETERS: {name!r} is no parameter; write Name=value with a name from "
                f"{TEMPLATE}"
            )
    return {name: value for name, _, value in pairs}


def delete(region: str, environment: str, stage: str = "") -> None:
    """Remove the service from one region; the trades stay in the data platform's database.

    With a stage, remove that preview, data included.

    Raises:
        UserError: there is no such preview, or SAM failed.
    """
    stack = service_stack_name(region, environment, stage)
    if stage:
        there = [preview.stage for preview in find_previews(region, environment)]
        if stage not in there:
            raise UserError(
                f"there is no preview {stage} of {environment} in {region} to remove; there "
                + (f"are: {', '.join(there)}" if there else "is none at all")
            )
    contract = load_contract()
    names = {"bucket": contract.path(contract["ArtifactBucketName"], environment)}
    _sam(
        "delete",
        "--no-prompts",
        f"--stack-name={stack}",
        f"--region={region}",
        f"--s3-bucket={deployed_values(names, region, environment)['bucket']}",
        f"--s3-prefix={stack}",
    )


def invoke(region: str, environment: str, stage: str = "") -> None:
    """Send the event in the file `EVENT` to a deployed function and print its answer.

    `FUNCTION` is the function's name in the template, TradeFunction if not given.

    Raises:
        UserError: there is no such file, or SAM failed.
    """
    event = Path(os.environ.get("EVENT") or FOLDER / "events" / "post_trade.json")
    if not event.is_file():
        raise UserError(f"EVENT {event}: there is no such file")
    function = os.environ.get("FUNCTION") or "TradeFunction"
    # Callers reach this function by its alias alone: it may lead to an older version.
    qualifier = ("--parameter=Qualifier=live",) if function == "TradeFunction" else ()
    _sam(
        "remote",
        "invoke",
        function,
        f"--stack-name={service_stack_name(region, environment, stage)}",
        f"--region={region}",
        f"--event-file={event}",
        *qualifier,
    )


_COMMANDS: Mapping[str, Callable[[str, str, str], None]] = {
    "deploy": deploy,
    "rollback": rollback,
    "releases": releases,
    "delete": delete,
    "invoke": invoke,
}
# What changes something, and what SAM says of its success: these run in regions side by side.
_RESULTS: Mapping[str, re.Pattern[str]] = {
    "deploy": re.compile(".* is released "),
    "rollback": re.compile(".* is released "),
    "delete": re.compile("Deleted successfully"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command in each of the environment's regions (`ENVIRONMENT_SUFFIX`, `REGIONS`).

    With `SERVICE_STAGE`, it is about that preview instead of the environment's own service.

    Raises:
        UserError: a variable has a value that cannot be used, or the command failed.
    """
    parser = argparse.ArgumentParser(prog="python -m service.deploy.commands", description=__doc__)
    parser.add_argument("command", choices=list(_COMMANDS))
    command = parser.parse_args(arguments).command
    environment = check_environment_suffix(os.environ.get("ENVIRONMENT_SUFFIX", "dev"))
    stage = check_service_stage(os.environ.get("SERVICE_STAGE", ""))
    if stage and environment in PRODUCTION:
        raise UserError(
            f"SERVICE_STAGE {stage}: there are no previews beside real trades, for their migration "
            "function reads the master secret: use another environment"
        )
    regions = check_regions(os.environ.get("REGIONS", "us-east-1"))
    # A release that one of the regions cannot take starts in none.
    if command == "deploy":
        for region in regions:
            published_values(TEMPLATE, load_contract(), environment, region)
            check_releasable(service_stack_name(region, environment, stage), region)
    if command == "rollback":
        if os.environ.get("TO") and len(regions) > 1:
            raise UserError("TO: each region counts its own versions; name one of them in REGIONS")
        for region in regions:
            rollback_target(Copy(region, environment, stage))
    if command in _RESULTS and len(regions) > 1:
        run_in_regions(
            [
                [
                    _in_region(region, service_stack_name(region, environment, stage), command)
                    for region in regions
                ]
            ],
            what=f"{command} of the service",
            result=_RESULTS[command],
            parallel=parallel_limit(os.environ),
        )
        return
    for region in regions:
        print(f"==> {service_stack_name(region, environment, stage)}: {command}", flush=True)
        _COMMANDS[command](region, environment, stage)


def _in_region(region: str, stack: str, command: str) -> RegionRun:
    """The same command in a process of its own, for one region."""
    return RegionRun(
        region,
        [sys.executable, "-m", "service.deploy.commands", command],
        {**os.environ, "REGIONS": region, "PYTHONUNBUFFERED": "1"},
        LOGS / f"{stack}-{command}.log",
    )


def _release(
    copy: Copy,
    template: Path,
    *,
    build: str,
    own: Mapping[str, str],
    names: Mapping[str, str],
    commit: str,
    restores: int | None = None,
) -> None:
    """Release a template with its own parameters, and the contract's by their SSM names."""
    contract = load_contract()
    # A release of old may live on another major version of the contract.
    lived_on = Contract(contract_requirement(template).smallest, ())
    values = deployed_values(
        {
            **names,
            **{
                tool: contract.path(contract[tool], copy.environment)
                for tool in ("ArtifactBucketName", "DatabaseConnectionBudget", "KmsKeyArn")
            },
            VERSION_NAME: lived_on.version_path(copy.environment),
        },
        copy.region,
        copy.environment,
    )
    budget = int(values["DatabaseConnectionBudget"])
    # A preview is not to take what the others have; they release as if it were not there.
    beside = reserved_beside(copy.stack, copy.region, copy.environment) if copy.stage else 0
    check_reserved_concurrency(reserved_concurrency(template, own), budget, beside)
    check_releasable(copy.stack, copy.region)
    declared = declared_parameters(template)
    defaults = {n: str(each["Default"]) for n, each in declared.items() if "Default" in each}
    digest = release_digest(build, {**defaults, **own, **{n: values[n] for n in names}})
    overrides = {**own, **names, "ReleaseDigest": digest}
    if restores:
        overrides["DeploymentPreferenceType"] = "AllAtOnce"
    before = deployed_stack(copy.stack, copy.region)
    if before is None or before.parameters.get("ReleaseDigest") != digest:
        # Alone, another commit or another day is no other release: without a new digest, the stack
        # keeps the description that it has.
        overrides["ReleaseDescription"] = str(Origin.now(commit, values[VERSION_NAME], restores))
    _sam(
        "deploy",
        f"--template-file={template}",
        f"--config-file={FOLDER / 'samconfig.toml'}",
        f"--stack-name={copy.stack}",
        f"--region={copy.region}",
        f"--s3-bucket={values['ArtifactBucketName']}",
        f"--s3-prefix={copy.stack}",
        # Without a key, SAM asks for AES256, which the bucket refuses.
        f"--kms-key-id={values['KmsKeyArn']}",
        "--parameter-overrides",
        *(_override(name, value) for name, value in overrides.items()),
    )
    stack, bucket = _deployed(copy)
    release = current_release(list_releases(stack, copy.region))
    if release.version not in kept_versions(stack.name, bucket, copy.region):
        keep_package(stack, bucket, copy.region, release.version, build)
    print(f"{stack.name}: version {release.version} is released ({release.origin})", flush=True)


def _deployed(copy: Copy) -> tuple[DeployedStack, str]:
    """The service's stack, and the bucket of its packages."""
    contract = load_contract()
    stack = deployed_stack(copy.stack, copy.region)
    if stack is None:
        raise UserError(f"{copy.stack} is not deployed: run `make deploy-service`")
    names = {"bucket": contract.path(contract["ArtifactBucketName"], copy.environment)}
    return stack, deployed_values(names, copy.region, copy.environment)["bucket"]


def _override(name: str, value: str) -> str:
    """A parameter as the SAM CLI reads it: quoted, for it may be empty or hold spaces."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"'


def _sam(*arguments: str) -> None:
    finished = subprocess.run(["sam", *arguments], check=False)
    if finished.returncode != 0:
        raise UserError(f"sam {arguments[0]} failed; its output above says why")


if __name__ == "__main__":
    sys.exit(exit_code(main))
