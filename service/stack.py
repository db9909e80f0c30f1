"""Deploys the service with the SAM CLI: `python -m service.stack deploy`."""

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from service.deployed import DeployedStack, deployed_stack, deployed_values
from service.packages import keep_package, kept_versions, load_package
from service.releases import (
    Origin,
    Release,
    current_release,
    list_releases,
    release_table,
    release_to_restore,
    source_commit,
)
from shared.connections import (
    check_reserved_concurrency,
    reserved_concurrency,
)
from shared.contract import SSM_TYPE_PREFIX, VERSION_NAME, Contract, load_contract
from shared.errors import UserError, exit_code
from shared.naming import check_environment_suffix, check_regions, service_stack_name
from shared.published import published_values
from shared.template import contract_requirement, declared_parameters, parameter_overrides

FOLDER = Path(__file__).parent
TEMPLATE = FOLDER / "template.yaml"
BUILT_TEMPLATE = FOLDER / ".aws-sam" / "build" / "template.yaml"

# The environments with real callers, and the template's parameters that depend on it.
PRODUCTION = ("prod", "production")
_BY_ENVIRONMENT: Mapping[bool, Mapping[str, str]] = {
    True: {"DeploymentPreferenceType": "Canary10Percent5Minutes", "Documentation": "Disabled"},
    False: {"DeploymentPreferenceType": "AllAtOnce", "Documentation": "Enabled"},
}

# What a release brings along anew, whatever it was made of.
_OF_EACH_RELEASE = ("ReleaseDigest", "ReleaseDescription")


def deploy(region: str, environment: str) -> None:
    """Release the built service in one region.

    Raises:
        UserError: the service is not built, the data platform does not publish what it needs or has
            too few database connections for it, or SAM failed.
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
        **service_parameters(os.environ.get("SERVICE_PARAMETERS", "")),
    }
    published_values(TEMPLATE, contract, environment, region)
    _release(
        region,
        environment,
        BUILT_TEMPLATE,
        build=build_digest(BUILT_TEMPLATE),
        own=own,
        names=parameter_overrides(TEMPLATE, contract, environment),
        commit=source_commit(FOLDER),
    )


def rollback(region: str, environment: str) -> None:
    """Release again what was live before, or the version that `TO` names.

    Template, code and parameters are those of that release; the values of the contract are those of
    now. All callers move at once, whatever the release's own way is. The database's schema stays.

    Raises:
        UserError: there is no such release, or the data platform does not publish any more what it
            needs, or SAM failed.
    """
    target, stack, bucket = _rollback_target(region, environment)
    package = load_package(stack, bucket, region, target.version)
    print(f"{stack}: version {target.version} again ({target.origin})", flush=True)
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        template = Path(folder) / "template.yaml"
        template.write_text(package.template)
        declared = declared_parameters(template)
        given = {n: v for n, v in package.parameters.items() if n not in _OF_EACH_RELEASE}
        names = {n: v for n, v in given.items() if declared[n]["Type"].startswith(SSM_TYPE_PREFIX)}
        _release(
            region,
            environment,
            template,
            build=package.build,
            own={n: v for n, v in given.items() if n not in names},
            names=names,
            commit=target.origin.commit,
            restores=target.first,
        )


def releases(region: str, environment: str) -> None:
    """List the latest releases, and which of them is live.

    Raises:
        UserError: the service is not deployed, or AWS does not answer.
    """
    stack, bucket = _deployed(region, environment)
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
    known = declared_parameters(TEMPLATE)
    for name, equals, _ in pairs:
        if not equals or name not in known:
            raise UserError(
                f"SERVICE_PARAMETERS: {name!r} is no parameter; write Name=value with a name from "
                f"{TEMPLATE}"
            )
    return {name: value for name, _, value in pairs}


def delete(region: str, environment: str) -> None:
    """Remove the service from one region; the trades stay in the data platform's database.

    Raises:
        UserError: SAM failed.
    """
    stack = service_stack_name(region, environment)
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


def invoke(region: str, environment: str) -> None:
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
        f"--stack-name={service_stack_name(region, environment)}",
        f"--region={region}",
        f"--event-file={event}",
        *qualifier,
    )


_COMMANDS: Mapping[str, Callable[[str, str], None]] = {
    "deploy": deploy,
    "rollback": rollback,
    "releases": releases,
    "delete": delete,
    "invoke": invoke,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command in each of the environment's regions (`ENVIRONMENT_SUFFIX`, `REGIONS`).

    Raises:
        UserError: a variable has a value that cannot be used, or the command failed.
    """
    parser = argparse.ArgumentParser(prog="python -m service.stack", description=__doc__)
    parser.add_argument("command", choices=list(_COMMANDS))
    command = parser.parse_args(arguments).command
    environment = check_environment_suffix(os.environ.get("ENVIRONMENT_SUFFIX", "dev"))
    regions = check_regions(os.environ.get("REGIONS", "us-east-1"))
    # A release that one of the regions cannot take starts in none.
    if command == "deploy":
        for region in regions:
            published_values(TEMPLATE, load_contract(), environment, region)
    if command == "rollback":
        if os.environ.get("TO") and len(regions) > 1:
            raise UserError("TO: each region counts its own versions; name one of them in REGIONS")
        for region in regions:
            _rollback_target(region, environment)
    for region in regions:
        print(f"==> {service_stack_name(region, environment)}: {command}", flush=True)
        _COMMANDS[command](region, environment)


def _release(
    region: str,
    environment: str,
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
    name = service_stack_name(region, environment)
    # A release of old may live on another major version of the contract.
    lived_on = Contract(contract_requirement(template).smallest, ())
    values = deployed_values(
        {
            **names,
            **{
                tool: contract.path(contract[tool], environment)
                for tool in ("ArtifactBucketName", "DatabaseConnectionBudget", "KmsKeyArn")
            },
            VERSION_NAME: lived_on.version_path(environment),
        },
        region,
        environment,
    )
    budget = int(values["DatabaseConnectionBudget"])
    check_reserved_concurrency(reserved_concurrency(template, own), budget)
    defaults = {
        n: str(d["Default"]) for n, d in declared_parameters(template).items() if "Default" in d
    }
    digest = release_digest(build, {**defaults, **own, **{each: values[each] for each in names}})
    overrides = {**own, **names, "ReleaseDigest": digest}
    if restores:
        overrides["DeploymentPreferenceType"] = "AllAtOnce"
    before = deployed_stack(name, region)
    if before is None or before.parameters.get("ReleaseDigest") != digest:
        # Alone, another commit or another day is no other release: without a new digest, the stack
        # keeps the description that it has.
        overrides["ReleaseDescription"] = str(Origin.now(commit, values[VERSION_NAME], restores))
    _sam(
        "deploy",
        f"--template-file={template}",
        f"--config-file={FOLDER / 'samconfig.toml'}",
        f"--stack-name={name}",
        f"--region={region}",
        f"--s3-bucket={values['ArtifactBucketName']}",
        f"--s3-prefix={name}",
        # Without a key, SAM asks for AES256, which the bucket refuses.
        f"--kms-key-id={values['KmsKeyArn']}",
        "--parameter-overrides",
        *(_override(each, value) for each, value in overrides.items()),
    )
    stack, bucket = _deployed(region, environment)
    release = current_release(list_releases(stack, region))
    if release.version not in kept_versions(name, bucket, region):
        keep_package(stack, bucket, region, release.version, build)
    print(f"{name}: version {release.version} is released ({release.origin})", flush=True)


def _deployed(region: str, environment: str) -> tuple[DeployedStack, str]:
    """The service's stack, and the bucket of its packages."""
    contract = load_contract()
    name = service_stack_name(region, environment)
    stack = deployed_stack(name, region)
    if stack is None:
        raise UserError(f"{name} is not deployed: run `make deploy-service`")
    names = {"bucket": contract.path(contract["ArtifactBucketName"], environment)}
    return stack, deployed_values(names, region, environment)["bucket"]


def _rollback_target(region: str, environment: str) -> tuple[Release, str, str]:
    """The release to go back to, and the names of the stack and of the bucket of its package."""
    stack, bucket = _deployed(region, environment)
    if stack.changes:
        raise UserError(
            f"{stack.name} is in {stack.status}: wait for its end, or have CloudFormation take it "
            f"back with `aws cloudformation cancel-update-stack --stack-name {stack.name}`"
        )
    kept = kept_versions(stack.name, bucket, region)
    try:
        target = release_to_restore(list_releases(stack, region), kept, os.environ.get("TO", ""))
    except UserError as error:
        raise UserError(f"{stack.name}: {error}") from None
    return target, stack.name, bucket


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
