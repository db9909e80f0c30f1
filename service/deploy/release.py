"""Releases one copy of the service: a build, or the kept package of an earlier release."""

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from service.deploy.build import (
    FOLDER,
    TEMPLATE,
    build_digest,
    check_built,
    release_digest,
)
from service.deploy.connections import (
    RESERVED_CONCURRENCY,
    check_account_concurrency,
    check_reserved_concurrency,
    default_reservation,
    reserved_concurrency,
)
from service.deploy.deployed import DeployedStack, deployed_stack, service_stack
from service.deploy.history import (
    Origin,
    Release,
    current_release,
    list_releases,
    release_to_restore,
    source_commit,
)
from service.deploy.kept_packages import Package, keep_package, kept_versions, released_package
from service.deploy.packaging import Uploaded, upload_code
from service.deploy.parameters import (
    CALLER_ACCOUNTS,
    COMPUTED,
    DESCRIPTION,
    DIGEST,
    HOW_CALLERS_MOVE,
    WITHOUT_CODEDEPLOY,
    changed_parameters,
    release_parameters,
)
from service.deploy.platform import Platform, platform_of_package, platform_of_template
from service.deploy.previews import reserved_beside
from service.deploy.refusal import refusal_reasons
from service.deploy.sam import CONFIG, SamFailed, check_config, override, run_sam
from service.deploy.schema import (
    Schema,
    built_migrations,
    built_schema,
    check_added_migrations,
    check_migrations,
)
from service.deploy.smoke_check import check_release
from service.deploy.stack_status import check_releasable
from service.deploy.target import Copy, Target
from shared.cli.errors import UserError
from shared.cli.table import table
from shared.contract.loader import load_contract
from shared.contract.template import declared_parameters

_NONCE_BYTES = 4


@dataclass(frozen=True)
class Candidate:
    """What a release is made of.

    `restores` is the version that it brings back, and `code` has the digests of its code, which is
    in the bucket already. A new release has neither.
    """

    copy: Copy
    template: Path
    build: str
    commit: str
    parameters: Mapping[str, str]
    platform: Platform
    schema: Schema
    restores: int | None = None
    code: Mapping[str, str] | None = None


def built_candidate(copy: Copy, target: Target) -> Candidate:
    """The release of what is built.

    Raises:
        UserError: the service is not built, a migration is refused, every principal of the account
            could call, the data platform does not publish what it needs or admits no preview, or
            the stack cannot take a release now.
    """
    check_built(target.template)
    platform = platform_of_template(copy, TEMPLATE, load_contract())
    _check_callers(target.parameters, platform)
    if copy.stage:
        # Its migrations change a schema of its own, which nobody trades in.
        _check_previews(copy, platform)
    else:
        check_migrations(built_migrations(target.template))
    check_releasable(copy.stack, copy.region)
    parameters = release_parameters(
        target.parameters, copy.environment, copy.stage, production=platform.production
    )
    if RESERVED_CONCURRENCY not in target.parameters and not copy.stage:
        # The release computes it, when it knows what is deployed.
        del parameters[RESERVED_CONCURRENCY]
    return Candidate(
        copy,
        target.template,
        build_digest(target.template),
        source_commit(FOLDER),
        parameters,
        platform,
        built_schema(target.template),
    )


def earlier_release(copy: Copy, to: str) -> tuple[Release, str]:
    """The release that a rollback goes back to, and the bucket of its package.

    `to` is a version; if it is empty, this is the release that was live before.

    Raises:
        UserError: there is no such release, or the stack cannot take a release now.
    """
    check_releasable(copy.stack, copy.region)
    stack, bucket = service_stack(copy)
    kept = kept_versions(stack.name, bucket, copy.region)
    try:
        return release_to_restore(list_releases(stack, copy.region), kept, to), bucket
    except UserError as error:
        raise UserError(f"{stack.name}: {error}") from None


@contextmanager
def kept_candidate(copy: Copy, to: str) -> Iterator[Candidate]:
    """An earlier release again; see `earlier_release`. Its template goes when the block ends.

    Template, code and parameters are those of that release; the contract's values are the current
    ones. CodeDeploy takes no part: it stops a deployment while one of its alarms is in ALARM, and
    that is when one rolls back. The database's schema stays.
    https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-create-alarms.html

    Raises:
        UserError: there is no such release, the data platform no longer publishes what it needs, or
            the stack cannot take a release now.
    """
    release, bucket = earlier_release(copy, to)
    package = released_package(copy.stack, bucket, copy.region, release)
    summary = release.origin.summary
    print(f"{copy.stack}: releasing version {release.version} again ({summary})", flush=True)
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        template = Path(folder) / "template.yaml"
        template.write_text(package.template)
        platform = platform_of_package(copy, template, package.parameters, load_contract())
        own = package.parameters.keys() - platform.names.keys() - COMPUTED
        yield Candidate(
            copy,
            template,
            package.build,
            release.origin.commit,
            {
                **{name: package.parameters[name] for name in own},
                HOW_CALLERS_MOVE: WITHOUT_CODEDEPLOY,
            },
            platform,
            Schema(package.migrations, package.words),
            release.first,
            package.code,
        )


def release(candidate: Candidate) -> None:
    """Release a candidate, keep its package, and say which version it is.

    Raises:
        UserError: it would take too many database connections, or a column from a release that a
            rollback may bring back; SAM failed, the bucket does not hold what was built, or the
            release does not pass its smoke check.
    """
    copy = candidate.copy
    check_config()
    before = deployed_stack(copy.stack, copy.region)
    candidate = _with_reservation(candidate, before)
    _check_concurrency(candidate, before)
    package = _package(candidate)
    parameters = _parameters(candidate, before, package)
    if before:
        _show_changes(before, parameters)
    if before and candidate.restores is None and not copy.stage:
        check_added_migrations(
            copy.stack,
            candidate.platform.bucket,
            copy.region,
            built_migrations(candidate.template),
        )
    started = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="release-") as folder:
        template = Path(folder) / "template.yaml"
        template.write_text(package.template)
        try:
            run_sam("deploy", *_deploy_options(candidate, template, parameters))
        except SamFailed as error:
            reasons = refusal_reasons(copy.stack, copy.region, started)
            print("\n".join(reasons), flush=True)
            raise UserError("; ".join([f"{copy.stack}: {error}", *reasons[:1]])) from None
    # CodeDeploy checks neither the first version nor one that it does not move callers to.
    if before is None or parameters[HOW_CALLERS_MOVE] == WITHOUT_CODEDEPLOY:
        check_release(copy)
    stack, bucket = service_stack(copy)
    current = current_release(list_releases(stack, copy.region))
    kept = kept_versions(stack.name, bucket, copy.region)
    if current.version not in kept and current.origin.package == package.digest:
        keep_package(stack.name, bucket, copy.region, current.version, package)
    summary = current.origin.summary
    print(f"{stack.name}: version {current.version} is released ({summary})", flush=True)


def attempt_digest(content: str, deployed: str) -> str:
    """The digest of an attempt to release what has the digest `content`.

    A new attempt has a new digest. After an attempt that failed, its version of the function stays,
    and Lambda publishes no second version of the same code and configuration: CloudFormation would
    refuse to release the same again.
    https://github.com/aws/aws-cdk/issues/28252

    What is deployed already keeps its digest, so that releasing it again changes nothing.
    """
    same = deployed.startswith(content)
    return deployed if same else f"{content}{secrets.token_hex(_NONCE_BYTES)}"


def _package(candidate: Candidate) -> Package:
    """The package of a release, with its code in the bucket."""
    copy, platform = candidate.copy, candidate.platform
    if candidate.code is None:
        uploaded = upload_code(
            candidate.template,
            bucket=platform.bucket,
            prefix=copy.stack,
            key=platform.values["KmsKeyArn"],
            region=copy.region,
        )
    else:
        uploaded = Uploaded(candidate.template.read_text(), candidate.code)
    parameters = {**candidate.parameters, **platform.names}
    return Package(
        candidate.build,
        parameters,
        uploaded.template,
        candidate.schema.migrations,
        candidate.schema.words,
        uploaded.code,
    )


def _parameters(
    candidate: Candidate, before: DeployedStack | None, package: Package
) -> dict[str, str]:
    """All parameters of the release: its own, the contract's by their SSM names, the computed."""
    platform = candidate.platform
    declared = declared_parameters(candidate.template)
    values = {name: str(each["Default"]) for name, each in declared.items() if "Default" in each}
    values |= {**candidate.parameters, **{n: platform.values[n] for n in platform.names}}
    # How callers move to a version says nothing about the version.
    content = {n: v for n, v in values.items() if n not in COMPUTED and n != HOW_CALLERS_MOVE}
    deployed = before.parameters.get(DIGEST, "") if before else ""
    digest = attempt_digest(release_digest(candidate.build, content), deployed)
    parameters = {**candidate.parameters, **platform.names, DIGEST: digest}
    if digest == deployed and before:
        # Another commit or another day alone is no other release: the description stays.
        parameters[DESCRIPTION] = before.parameters.get(DESCRIPTION, "")
    else:
        origin = Origin.now(candidate.commit, platform.version, package.digest, candidate.restores)
        parameters[DESCRIPTION] = str(origin)
    return parameters


def _deploy_options(
    candidate: Candidate, template: Path, parameters: Mapping[str, str]
) -> list[str]:
    # Without a bucket, SAM sends the template itself. With one, it would leave an object alone that
    # has the template's name, and CloudFormation would deploy what somebody else has put there.
    copy = candidate.copy
    return [
        f"--template-file={template}",
        f"--config-file={CONFIG}",
        f"--stack-name={copy.stack}",
        f"--region={copy.region}",
        "--parameter-overrides",
        *(override(name, value) for name, value in parameters.items()),
    ]


def _check_callers(parameters: Mapping[str, str], platform: Platform) -> None:
    """Do nothing if the API's own policy does not name the account that it is in.

    Within one account, that policy alone would let every principal call.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
    """
    account = platform.values["KmsKeyArn"].split(":")[4]
    if account in parameters.get(CALLER_ACCOUNTS, "").split(","):
        raise UserError(
            f"{CALLER_ACCOUNTS} {account}: remove it; it is the account of the API, all of whose "
            "principals could call. Give those who may call execute-api:Invoke instead"
        )


def _check_previews(copy: Copy, platform: Platform) -> None:
    if platform.production:
        raise UserError(
            f"SERVICE_STAGE {copy.stage}: previews are not allowed in production "
            f"({copy.environment}): their migration function reads the master secret; use another "
            "environment"
        )
    if platform.proxied:
        raise UserError(
            f"SERVICE_STAGE {copy.stage}: the database of {copy.environment} in {copy.region} is "
            "behind RDS Proxy, which admits no preview's user; use another environment"
        )


def _with_reservation(candidate: Candidate, before: DeployedStack | None) -> Candidate:
    """The candidate with a reserved concurrency, if it has chosen none."""
    if RESERVED_CONCURRENCY in candidate.parameters:
        return candidate
    reserved = default_reservation(
        candidate.platform.connections,
        reserved_concurrency(candidate.template, before.parameters) if before else 0,
        candidate.copy.region,
        production=candidate.platform.production,
    )
    parameters = {**candidate.parameters, RESERVED_CONCURRENCY: str(reserved)}
    return replace(candidate, parameters=parameters)


def _check_concurrency(candidate: Candidate, before: DeployedStack | None) -> None:
    copy = candidate.copy
    wanted = reserved_concurrency(candidate.template, candidate.parameters)
    # A preview must not take what the others have. They release as if it did not exist.
    beside = reserved_beside(copy.stack, copy.region, copy.environment) if copy.stage else 0
    check_reserved_concurrency(wanted, candidate.platform.connections, beside)
    held = reserved_concurrency(candidate.template, before.parameters) if before else 0
    check_account_concurrency(wanted, held, copy.region)


def _show_changes(before: DeployedStack, parameters: Mapping[str, str]) -> None:
    """Print which parameters the release changes, before it does."""
    changed = changed_parameters(before.parameters, parameters)
    if changed:
        rows = [(name, *(value or "(empty)" for value in pair)) for name, pair in changed.items()]
        print(table([("PARAMETER", "DEPLOYED", "RELEASE"), *rows]), flush=True)
