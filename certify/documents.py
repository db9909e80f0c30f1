"""What can be judged without a platform: plans, the template, and all policies."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from certify.handlers import unplaced
from certify.plans import ACCOUNT, plan_of
from certify.references import wrong_references
from certify.template import (
    PUBLISHED,
    assumed_needless,
    denied_to_handlers,
    handler_calls,
    named,
    refused_by_schemas,
    with_values,
)
from certify.transformed import transformed
from infra.config.environment import load_environment
from infra.config.place import Place
from infra.gate.acceptance import refused
from infra.gate.calls import CALLS
from infra.gate.quotas import Quota, taken
from infra.gate.values import rules
from infra.main import synthesize
from infra.policies.catalogue import POLICIES
from infra.policies.service_deployer import service_deployer, service_deployer_access
from service.deploy.parameters import release_parameters
from shared.naming import ENVIRONMENT_SUFFIX_MAX, SERVICE_STAGE_MAX, service_stack_name

_ROOT = Path(__file__).resolve().parent.parent
_ENVIRONMENTS = _ROOT / "tests" / "infra" / "environments"
_SUFFIX = "qa"
PROFILES: Mapping[str, str] = {
    **{name: f'profile = "{name}"' for name in ("dev", "standard", "production")},
    **{name: (_ENVIRONMENTS / f"{name}.toml").read_text() for name in ("everything", "global")},
}
# Where the environment of each profile is.
REGIONS: Mapping[str, str] = {
    name: "us-east-1,us-east-2,us-west-2" if name == "global" else "us-east-1" for name in PROFILES
}
# What happens to resources, as Terraform's plans have it.
ACTIONS: Sequence[tuple[str, ...]] = (("create",), ("update",), ("delete", "create"), ("delete",))
# The elements of resources that hold policy documents.
_POLICIES = ("policy", "assume_role_policy")


@dataclass
class Findings:
    """What was judged under one heading: how many of what, and what is refused or assumed of it."""

    title: str
    judged: int = 0
    refused: list[str] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    types: set[str] = field(default_factory=set)
    # Of a profile's largest region: how much it takes of a new account's quotas.
    taken: dict[Quota, int] = field(default_factory=dict)


def profile(name: str) -> Findings:
    """The plans of a profile: to create, change, replace and destroy all of it in its regions."""
    findings = Findings(f"plans of the profile {name}")
    for region, stack in _synthesized(PROFILES[name], REGIONS[name]).items():
        for actions in ACTIONS:
            plan = plan_of(stack, *actions)
            findings.judged += len(plan["resource_changes"])
            findings.types |= {change["type"] for change in plan["resource_changes"]}
            findings.refused += [
                f"{region} {address}: {reason}"
                for address, reason in refused(plan, region, _SUFFIX)
            ]
        whole = plan_of(stack, "create")
        findings.taken |= {
            quota: max(count, findings.taken.get(quota, 0)) for quota, count in taken(whole).items()
        }
        for address, text in _documents(whole):
            findings.judged += 1
            found = wrong_references(json.loads(text), of_resource=True)
            findings.refused += [f"{region} {address}: {reason}" for reason in found]
    return findings


def template(stage: str) -> Findings:
    """The transformed template: schemas, handlers' permissions, and the policies of its roles."""
    findings = Findings(f"template of {'a preview' if stage else 'the service'}")
    document = transformed(**release_parameters({}, _SUFFIX, stage, production=False))
    deployer = [
        policy(Place(ACCOUNT, "us-east-1", _SUFFIX))
        for policy in (service_deployer, service_deployer_access)
    ]
    findings.types = {resource["Type"] for resource in document["Resources"].values()}
    findings.judged = len(document["Resources"])
    # The schemas see names as long as they can be.
    suffix, longest = "s" * ENVIRONMENT_SUFFIX_MAX, stage and "s" * SERVICE_STAGE_MAX
    values = {**PUBLISHED, "EnvironmentSuffix": suffix, "ServiceStage": longest}
    names = {**values, "AWS::StackName": service_stack_name("us-east-1", suffix, longest)}
    findings.refused += refused_by_schemas(named(with_values(document, values), names))
    findings.refused += denied_to_handlers(document, deployer)
    return findings


def policies() -> Findings:
    """The policies of people and roles: what they name exists."""
    findings = Findings("policies of deployers, planner and boundary")
    for name, policy in POLICIES.items():
        findings.judged += 1
        found = wrong_references(policy(Place(ACCOUNT, "us-east-1", _SUFFIX)))
        findings.refused += [f"{name}: {reason}" for reason in found]
    return findings


def checked_by(type_: str) -> str:
    """Which judges know a type of resource."""
    ruled = sum(rule.resource == type_ for rule in rules())
    if type_ in CALLS:
        found = [f"model of {CALLS[type_].operation}", "permissions of the infra deployer"]
        return ", ".join([*found, *([f"{ruled} rule{'s' * (ruled > 1)}"] if ruled else [])])
    if calls := handler_calls(type_) - assumed_needless().get(type_, {}).keys():
        return f"schema of the registry, {len(calls)} calls of its handlers"
    return "tests of the function that makes it"


def assumed_of(type_: str) -> list[str]:
    """What is taken for granted of a type of resource."""
    if type_ in CALLS:
        return [
            "values that only an apply knows are right, and so are nested blocks without a rule"
        ]
    if type_.startswith("Custom::"):
        return ["the function that makes it works as in its tests"]
    found = sorted(set(assumed_needless().get(type_, {}).values()))
    if unplaced(type_):
        found.append(
            "some calls of its handlers are for a resource that the registry does not name"
        )
    return found


def _synthesized(settings: str, regions: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "environment.toml"
        file.write_text(settings)
        environment = load_environment(
            {
                "CDKTF_OUTDIR": folder,
                "ENVIRONMENT_FILE": str(file),
                "ENVIRONMENT_SUFFIX": _SUFFIX,
                "PATH": os.environ["PATH"],
                "REGIONS": regions,
            }
        )
        synthesize(environment)
        names = zip(regions.split(","), environment.stack_names(), strict=True)
        return {
            region: json.loads((Path(folder) / "stacks" / name / "cdk.tf.json").read_text())
            for region, name in names
        }


def _documents(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The policy documents in a plan, by the address of their resource."""
    for change in plan["resource_changes"]:
        for name in _POLICIES:
            text = change["change"]["after"].get(name)
            if text:
                yield change["address"], text
