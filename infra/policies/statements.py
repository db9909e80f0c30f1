"""The parts that policy documents are made of."""

from collections.abc import Mapping, Sequence

from infra.config.naming import key_alias
from infra.policies.place import Place
from shared.naming import PLATFORM

Document = Mapping[str, object]


Statement = dict[str, object]


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


def hook(place: Place, preview: str = "") -> str:
    """The ARN of the functions that check a release before it takes calls."""
    # CodeDeploy calls functions whose names begin so, and no others.
    return place.arn("lambda", f"function:CodeDeployHook_trade_{place.environment}{preview}")


def preview_secrets(place: Place) -> str:
    """The ARN of the secrets of the environment's previews."""
    return place.arn("secretsmanager", f"secret:{place.previews}/*")


def contract_parameters(place: Place) -> str:
    """The ARN of the environment's published values."""
    return place.arn("ssm", f"parameter/{PLATFORM}/{place.environment}/*")


def with_environment_key(place: Place) -> Mapping[str, object]:
    """The condition that the key is the environment's."""
    # The key's id is not known before the key is made; its alias is.
    alias = key_alias(place.region, place.environment)
    return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}}
