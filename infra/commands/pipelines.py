"""Makes the roles of GitHub's pipelines, as an administrator."""

import os
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import boto3

from infra.commands.remote_state import ensure
from infra.config.environment import EnvironmentConfig, load_environment
from infra.config.naming import pipelines_stack_name
from infra.provider.bindings import App
from infra.stacks.pipelines import AUDIENCE, ISSUER, Pipelines
from infra.terraform.backend import account_id, backend_arguments
from infra.terraform.program import installed_terraform
from shared.cli.errors import UserError, exit_code

# Tokens of repositories made since July 2026 name owner and repository with their numbers, too.
# https://docs.github.com/en/actions/concepts/security/openid-connect
_NAME = r"[A-Za-z0-9_.-]+(@[0-9]+)?"
_SETTINGS = Path(__file__).parents[2] / ".github" / "settings.toml"


def repository_name(variables: Mapping[str, str]) -> str:
    """How tokens name the repository: the variable `GITHUB_REPOSITORY`.

    Raises:
        UserError: it is not given, or is not of that form.
    """
    repository = variables.get("GITHUB_REPOSITORY", "")
    if not re.fullmatch(f"{_NAME}/{_NAME}", repository):
        raise UserError(
            f"GITHUB_REPOSITORY {repository!r}: give the repository as tokens name it: owner/name, "
            "or owner@number/name@number if it was made since July 2026 "
            "(docs/how-to/set-up-pipelines.md)"
        )
    return repository


def check_environments(suffix: str, variables: Mapping[str, str]) -> None:
    """Do nothing if the repository's settings limit who may use the environments on GitHub.

    A deployer's role trusts an environment by its name. The job of any branch can name one that
    GitHub does not know: GitHub then makes it, without any rule.
    https://docs.github.com/en/actions/how-tos/deploy/configure-and-manage-deployments/manage-environments

    Raises:
        UserError: the file of settings lacks one, is not there, or is no TOML.
    """
    file = Path(variables.get("GITHUB_SETTINGS") or _SETTINGS)
    try:
        known = tomllib.loads(file.read_text()).get("environments", {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"GITHUB_SETTINGS {file}: {error}") from None
    missing = [name for name in (f"{suffix}-infra", f"{suffix}-service") if name not in known]
    if missing:
        raise UserError(
            f"{file} has no environment {' and no '.join(missing)}: any branch could take its "
            "role; add it there, run `make github-settings`, and try again"
        )


def makes_provider(environment: EnvironmentConfig) -> bool:
    """Whether the environment's stack makes GitHub an identity provider of the account.

    An account has at most one provider for GitHub; that of another environment or team is used too.

    Raises:
        UserError: there are no credentials, or somebody else's does not take tokens for AWS.
    """
    region = environment.regions[0].region
    iam = boto3.client("iam", region_name=region)
    arn = f"arn:aws:iam::{account_id(region)}:oidc-provider/{ISSUER}"
    try:
        found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    except iam.exceptions.NoSuchEntityException:
        return True
    own = {"Key": "Stack", "Value": pipelines_stack_name(environment.suffix)}
    if own in found.get("Tags", []):
        return True
    if AUDIENCE not in found["ClientIDList"]:
        raise UserError(f"{arn} is not for {AUDIENCE}: add that to its client IDs")
    return False


def main() -> None:
    """Apply the stack of the environment's pipelines.

    Raises:
        UserError: the repository is not named, its settings do not have the environment, there are
            no credentials, or Terraform failed.
    """
    repository = repository_name(os.environ)
    environment = load_environment(os.environ)
    check_environments(environment.suffix, os.environ)
    home = environment.regions[0]
    provided = makes_provider(environment)
    # In a separate folder, so that synth, plan and deploy keep theirs.
    environment = replace(environment, out_dir=environment.out_dir / "pipelines")
    environment.out_dir.mkdir(parents=True, exist_ok=True)
    app = App(outdir=str(environment.out_dir))
    Pipelines(
        app,
        environment=environment,
        repository=repository,
        makes_provider=provided,
    )
    app.synth()
    name = pipelines_stack_name(environment.suffix)
    folder = environment.out_dir / "stacks" / name
    with installed_terraform(os.environ) as terraform:
        if environment.remote_state:
            ensure(replace(environment, regions=(home,)), terraform)
        print(f"==> {name}: terraform apply", flush=True)
        terraform.init(folder, *backend_arguments(environment, home.region))
        terraform.run(folder, "apply")


if __name__ == "__main__":
    sys.exit(exit_code(main))
