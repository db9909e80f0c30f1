"""Makes the roles of GitHub's pipelines, as an administrator."""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import replace

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
        UserError: the repository is not named, there are no credentials, or Terraform failed.
    """
    repository = repository_name(os.environ)
    environment = load_environment(os.environ)
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
