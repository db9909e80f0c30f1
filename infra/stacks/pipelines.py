"""The roles that the pipelines on GitHub take to work on one environment, without a stored key."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from constructs import Construct

from infra.config.environment import EnvironmentConfig
from infra.config.naming import pipeline_role_name, pipelines_stack_name, resource_name
from infra.constructs.iam import policy
from infra.constructs.publication import stack_outputs
from infra.policies.catalogue import POLICIES
from infra.policies.place import INFRA_DEPLOYER, PLANNER, PREVIEW_LIMITS, SERVICE_DEPLOYER, Place
from infra.policies.service_deployer import preview_limits
from infra.policies.statements import Document
from infra.provider.bindings import (
    AwsProvider,
    AwsProviderDefaultTags,
    DataAwsCallerIdentity,
    IamOpenidConnectProvider,
    IamPolicy,
    IamRole,
    IamRolePolicyAttachment,
    TerraformStack,
)
from infra.stacks.state import keep_state
from shared.naming import PLATFORM

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
# Not one of the deployers' policies reaches what is under this path, so that no role of a pipeline
# can change itself or another.
PATH = "/pipelines/"
PREVIEWER = "previewer"
_MAIN = "ref:refs/heads/main"
_PULL_REQUEST = "pull_request"
_HOUR_SECONDS = 3600


@dataclass(frozen=True)
class PipelineRole:
    """Which of the repository's jobs may take a role, and the policies it has in each region."""

    subjects: tuple[str, ...]
    policies: tuple[str, ...]
    hours: int = 1


DOCUMENTS: Mapping[str, Callable[[Place], Document]] = {
    **POLICIES,
    PREVIEW_LIMITS: preview_limits,
}


def pipeline_roles(environment: EnvironmentConfig) -> dict[str, PipelineRole]:
    """The roles of an environment, by name.

    A deployer is for the jobs of its own GitHub environment, whose reviewers approve them. What a
    pull request may do needs nobody's approval: to read, and to preview what is not guarded.
    https://docs.github.com/en/actions/reference/security/oidc#example-subject-claims
    """
    suffix = environment.suffix
    roles = {
        # Three regions with production's databases take longer than an hour.
        INFRA_DEPLOYER: PipelineRole((f"environment:{suffix}-infra",), (INFRA_DEPLOYER,), hours=2),
        SERVICE_DEPLOYER: PipelineRole((f"environment:{suffix}-service",), (SERVICE_DEPLOYER,)),
        PLANNER: PipelineRole((_PULL_REQUEST, _MAIN), (PLANNER,)),
    }
    if not environment.settings.protection.prevent_destroy:
        roles[PREVIEWER] = PipelineRole((_PULL_REQUEST,), (SERVICE_DEPLOYER, PREVIEW_LIMITS))
    return roles


class Pipelines(TerraformStack):
    """GitHub as an identity provider, if the account lacks it, and an environment's roles.

    `repository` is how tokens name it: `owner/name`, or `owner@1/name@2` with its numbers.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        environment: EnvironmentConfig,
        repository: str,
        makes_provider: bool,
    ) -> None:
        name = pipelines_stack_name(environment.suffix)
        super().__init__(scope, name)
        # Both provider majors serve: no argument is used that only one of them has.
        self.add_override("terraform.required_providers.aws.version", ">= 5.100.0, < 7.0.0")
        self.add_override("terraform.required_version", ">= 1.10.0")
        # IAM is the same in all regions; the state is in the first one.
        home = environment.regions[0].region
        keep_state(self, environment, home)
        AwsProvider(
            self,
            "aws",
            region=home,
            default_tags=[
                AwsProviderDefaultTags(
                    tags={
                        "Project": PLATFORM,
                        "Environment": environment.suffix,
                        "ManagedBy": "terraform",
                        "Stack": name,
                    }
                )
            ],
        )
        account = DataAwsCallerIdentity(self, "account").account_id
        provider_arn = f"arn:aws:iam::{account}:oidc-provider/{ISSUER}"
        if makes_provider:
            # No thumbprint: AWS knows the authorities that GitHub's certificate comes from.
            provider_arn = IamOpenidConnectProvider(
                self, "github", url=f"https://{ISSUER}", client_id_list=[AUDIENCE]
            ).arn

        roles = pipeline_roles(environment)
        places = [Place(account, each.region, environment.suffix) for each in environment.regions]
        arns = {
            kind: self._policies(kind, places)
            for kind in sorted({kind for role in roles.values() for kind in role.policies})
        }
        made = {}
        for role_name, role in roles.items():
            made[role_name] = IamRole(
                self,
                role_name,
                name=pipeline_role_name(environment.suffix, role_name),
                path=PATH,
                max_session_duration=role.hours * _HOUR_SECONDS,
                assume_role_policy=policy(trust(provider_arn, repository, role.subjects)),
            )
            for kind in role.policies:
                for place, arn in zip(places, arns[kind], strict=True):
                    IamRolePolicyAttachment(
                        self,
                        f"{role_name}-{kind}-{place.region}",
                        role=made[role_name].name,
                        policy_arn=arn,
                    )
        stack_outputs(
            self,
            {f"{name.replace('-', '_')}_role_arn": role.arn for name, role in made.items()},
        )

    def _policies(self, kind: str, places: Sequence[Place]) -> list[str]:
        """Policies of a kind for each place, apart from those that the data platform makes."""
        return [
            IamPolicy(
                self,
                f"{kind}-{place.region}",
                name=resource_name("policy", place.region, place.environment, f"pipeline-{kind}"),
                path=PATH,
                policy=json.dumps(DOCUMENTS[kind](place)),
            ).arn
            for place in places
        ]


def trust(provider_arn: str, repository: str, subjects: Sequence[str]) -> Mapping[str, object]:
    """Whom a role trusts: tokens that GitHub made for AWS, and for just these jobs.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html#idp_oidc_Create_GitHub
    """
    return {
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": provider_arn},
        "Condition": {
            "StringEquals": {
                f"{ISSUER}:aud": AUDIENCE,
                f"{ISSUER}:sub": [f"repo:{repository}:{subject}" for subject in subjects],
            }
        },
    }
