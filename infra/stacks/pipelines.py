"""The roles that the pipelines on GitHub assume to work on one environment, without stored keys."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from constructs import Construct

from infra.config.environment import EnvironmentConfig
from infra.config.naming import pipeline_role_name, pipelines_stack_name
from infra.config.place import Place
from infra.constructs.iam import policy
from infra.constructs.publication import stack_outputs
from infra.policies.catalogue import POLICIES
from infra.policies.infra_deployer import INFRA_DEPLOYER, INFRA_DEPLOYER_ACCESS
from infra.policies.planner import PLANNER
from infra.policies.preview_limits import PREVIEW_LIMITS
from infra.policies.service_deployer import SERVICE_DEPLOYER, SERVICE_DEPLOYER_ACCESS
from infra.provider.bindings import (
    IamOpenidConnectProvider,
    IamPolicy,
    IamRole,
    IamRolePolicyAttachment,
)
from infra.stacks.base import Stack

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
# No deployer's policy covers this path, so no role of a pipeline can change itself or another one.
PATH = "/pipelines/"
PREVIEWER = "previewer"
_MAIN = "ref:refs/heads/main"
_PULL_REQUEST = "pull_request"
_HOUR_SECONDS = 3600


@dataclass(frozen=True)
class PipelineRole:
    """Which jobs of the repository may assume a role, and the policies it has in each region."""

    subjects: tuple[str, ...]
    policies: tuple[str, ...]
    hours: int = 1


def pipeline_roles(environment: EnvironmentConfig) -> dict[str, PipelineRole]:
    """The roles of an environment, by name.

    A deployer is for the jobs of its own GitHub environment, whose reviewers approve them. A pull
    request needs no approval for what it may do: read, and deploy previews of unguarded
    environments.
    https://docs.github.com/en/actions/reference/security/oidc#example-subject-claims
    """
    suffix = environment.suffix
    releases = (SERVICE_DEPLOYER, SERVICE_DEPLOYER_ACCESS)
    roles = {
        INFRA_DEPLOYER: PipelineRole(
            (f"environment:{suffix}-infra",),
            (INFRA_DEPLOYER, INFRA_DEPLOYER_ACCESS),
            # Three regions with production's databases take longer than an hour.
            hours=2,
        ),
        SERVICE_DEPLOYER: PipelineRole((f"environment:{suffix}-service",), releases),
        PLANNER: PipelineRole((_PULL_REQUEST, _MAIN), (PLANNER,)),
    }
    if not environment.settings.protection.prevent_destroy:
        # On main runs the nightly sweep of previews that outlived their pull requests.
        roles[PREVIEWER] = PipelineRole((_PULL_REQUEST, _MAIN), (*releases, PREVIEW_LIMITS))
    return roles


class Pipelines(Stack):
    """GitHub as an identity provider, if the account has none, and the roles of an environment.

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
        # IAM is the same in all regions; the first one keeps the state.
        super().__init__(
            scope,
            pipelines_stack_name(environment.suffix),
            environment=environment,
            region=environment.regions[0].region,
            tags={"Environment": environment.suffix},
        )
        provider_arn = f"arn:aws:iam::{self.account}:oidc-provider/{ISSUER}"
        if makes_provider:
            # No thumbprint: AWS knows the authorities that GitHub's certificate comes from.
            provider_arn = IamOpenidConnectProvider(
                self, "github", url=f"https://{ISSUER}", client_id_list=[AUDIENCE]
            ).arn

        roles = pipeline_roles(environment)
        places = [
            Place(self.account, each.region, environment.suffix) for each in environment.regions
        ]
        arns = {
            kind: self._policies(kind, places)
            for kind in sorted({kind for role in roles.values() for kind in role.policies})
        }
        for name, role in roles.items():
            trusted = trust(provider_arn, repository, role.subjects)
            made = self._role(name, pipeline_role_name(environment.suffix, name), role, trusted)
            for kind in role.policies:
                for region, arn in arns[kind].items():
                    IamRolePolicyAttachment(
                        self, f"{name}-{kind}-{region}", role=made.name, policy_arn=arn
                    )
            stack_outputs(self, {f"{name.replace('-', '_')}_role_arn": made.arn})

    def _role(
        self, id_: str, name: str, role: PipelineRole, trusted: Mapping[str, object]
    ) -> IamRole:
        return IamRole(
            self,
            id_,
            name=name,
            path=PATH,
            max_session_duration=role.hours * _HOUR_SECONDS,
            assume_role_policy=policy(trusted),
        )

    def _policies(self, kind: str, places: Sequence[Place]) -> Mapping[str, str]:
        """The ARN of a kind of policy for each region: the data platform's own is not used."""
        return {
            place.region: IamPolicy(
                self,
                f"{kind}-{place.region}",
                name=place.name("policy", f"pipeline-{kind}"),
                path=PATH,
                policy=json.dumps(POLICIES[kind](place)),
            ).arn
            for place in places
        }


def trust(provider_arn: str, repository: str, subjects: Sequence[str]) -> Mapping[str, object]:
    """What a role trusts: the tokens that GitHub issues for AWS to these jobs only.

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
