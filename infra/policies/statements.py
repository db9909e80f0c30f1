"""The parts that policy documents are made of."""

from collections.abc import Mapping, Sequence

from infra.config.naming import state_key_alias
from infra.config.place import Place
from shared.contract.loader import load_contract
from shared.naming import PLATFORM, PREVIEW_MARK

Document = Mapping[str, object]
Statement = dict[str, object]

# CloudFormation cuts a stack's name to 24 characters when it names roles and functions, and this
# is what remains. The permissions boundary tells the environments apart there.
SERVICE = f"{PLATFORM}-service"

# How the names of the functions begin that have log groups.
_FUNCTIONS = ("archive", "documentation", "migration", "smoke", "trade")

# IAM's limit for a managed policy, in characters without white space.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
MAX_CHARACTERS = 6144


def document(*statements: Statement) -> Document:
    """A policy document of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, object] | None = None,
) -> Statement:
    """A statement that allows actions on resources."""
    return _statement("Allow", sid, actions, resources, condition)


def deny(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, object] | None = None,
) -> Statement:
    """A statement that denies actions on resources, whatever else allows them."""
    return _statement("Deny", sid, actions, resources, condition)


def deny_all_but(
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, object] | None = None,
) -> Statement:
    """A statement that denies actions on all resources but these."""
    statement = deny(sid, actions, resources, condition)
    statement["NotResource"] = statement.pop("Resource")
    return statement


def _statement(
    effect: str,
    sid: str,
    actions: Sequence[str],
    resources: Sequence[str],
    condition: Mapping[str, object] | None,
) -> Statement:
    statement: Statement = {
        "Sid": sid,
        "Effect": effect,
        "Action": list(actions),
        "Resource": list(resources),
    }
    return {**statement, "Condition": condition} if condition else statement


def service_logs(place: Place) -> list[str]:
    """The ARNs of the log groups and log streams of the environment's service and previews.

    They are named one by one: the names of another environment can begin like this one's.
    """
    functions = [f"{place.service}-{function}*" for function in _FUNCTIONS]
    api = [place.service, f"{place.service}:*"]
    names = [*functions, *api, place.previews]
    return [place.arn("logs", f"log-group:/aws/*/{name}") for name in names]


def service_functions(place: Place) -> str:
    """The ARN of the functions of all services and previews of the account's region."""
    return place.arn("lambda", f"function:{SERVICE}-*")


def hooks(place: Place) -> list[str]:
    """The ARNs of the functions that check releases of the environment and its previews."""
    own = hook(place)
    return [own, f"{own}:*", hook(place, f"{PREVIEW_MARK}*")]


def hook(place: Place, preview: str = "") -> str:
    """The ARN of the function that checks a release before it takes calls."""
    name = load_contract().name("smoke_check", environment=f"{place.environment}{preview}")
    return place.arn("lambda", f"function:{name}")


def preview_folder(stage: str) -> str:
    """The folder of a preview's objects in the data bucket; `*` stands for all previews."""
    return load_contract().name("preview_folder", stage=stage)


def preview_secrets(place: Place) -> str:
    """The ARN of the secrets of the environment's previews."""
    return place.arn("secretsmanager", f"secret:{place.previews}/*")


def contract_parameters(place: Place) -> str:
    """The ARN of the environment's published values."""
    return place.arn("ssm", f"parameter/{PLATFORM}/{place.environment}/*")


def in_region(place: Place) -> Mapping[str, object]:
    """The condition that a request goes to the place's region."""
    return {"StringEquals": {"aws:RequestedRegion": place.region}}


def of_stacks(*names: str) -> Mapping[str, object]:
    """The condition that a resource belongs to a CloudFormation stack with such a name."""
    return {"StringLike": {"aws:ResourceTag/aws:cloudformation:stack-name": list(names)}}


def with_environment_key(place: Place) -> Mapping[str, object]:
    """The condition that the key is the environment's."""
    # A key has no id before it exists, but its alias is known.
    return _with_key(place.key_alias())


def with_state_key(place: Place) -> Mapping[str, object]:
    """The condition that the key is the one that encrypts Terraform's states."""
    return _with_key(state_key_alias(place.region))


def _with_key(alias: str) -> Mapping[str, object]:
    return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}


def state_objects(place: Place) -> list[str]:
    """The ARNs of the data platform's state, in the default workspace and in all others."""
    return [
        f"{place.state_bucket}/{place.platform}/*",
        f"{place.state_bucket}/env:/*/{place.platform}/*",
    ]
