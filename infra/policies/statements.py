"""The parts that policy documents are made of."""

from collections.abc import Mapping, Sequence

from infra.config.naming import state_key_alias
from infra.config.place import Place
from shared.contract.loader import load_contract
from shared.naming import PLATFORM, PREVIEW_MARK, REGION_CODES, failure_queue

Document = Mapping[str, object]
Statement = dict[str, object]

# CloudFormation cuts a stack's name to 24 characters when it names functions, and this is what
# remains. Tags tell the environments apart there.
SERVICE = f"{PLATFORM}-service"

# How the logical names of the service's alarms and of its CodeDeploy application begin.
# CloudFormation puts them behind the stack's name. No environment's name has a capital letter, so
# such a pattern matches nothing of the environment `dev-2` where it is meant for `dev`.
_ALARMS = ("Api", "Archive", "Positions", "Trade")
_APPLICATION = "Serverless"

# CloudFormation tags functions and APIs. It does not tag roles and queues.
_STACK = "aws:ResourceTag/aws:cloudformation:stack-name"

# Where the stage of an API that a request creates or changes writes its access log.
ACCESS_LOGS = "apigateway:Request/AccessLoggingDestination"

# Who writes the log groups of the service: the folder in their names.
FUNCTIONS, APIS = "lambda", "apigateway"

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


def service_logs(place: Place, *writers: str) -> list[str]:
    """The ARNs of the log groups and log streams of the environment's service and previews.

    `writers` are `FUNCTIONS`, `APIS`, or both.
    """
    return [arn for own in (own_logs, preview_logs) for arn in own(place, *writers)]


def own_logs(place: Place, *writers: str) -> list[str]:
    """The ARNs of those of the environment's own service."""
    return _logs(place, place.service, writers)


def preview_logs(place: Place, *writers: str) -> list[str]:
    """The ARNs of those of the environment's previews."""
    return _logs(place, place.previews, writers)


def _logs(place: Place, stack: str, writers: Sequence[str]) -> list[str]:
    # There is no wildcard before the stack's name: it would match any log group and the name of a
    # stream, which a caller chooses and which may have slashes.
    # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogStream.html
    return [place.arn("logs", f"log-group:/aws/{writer}/{stack}/*") for writer in writers]


def service_roles(place: Place) -> list[str]:
    """The ARNs of the roles of the environment's service and previews: their paths tell whose."""
    return [own_roles(place), preview_roles(place)]


def own_roles(place: Place) -> str:
    """The ARN of the roles of the environment's own service."""
    return place.iam(f"role/{place.service}/*")


def preview_roles(place: Place) -> str:
    """The ARN of the roles of the environment's previews."""
    return place.iam(f"role/{place.previews}/*")


def service_layers(place: Place) -> list[str]:
    """The ARNs of the layers of the environment's service and previews, and of their versions."""
    return [*own_layers(place), place.arn("lambda", f"layer:{place.previews}")]


def own_layers(place: Place) -> list[str]:
    """The ARNs of the layer of the environment's own service, and of its versions."""
    layer = place.arn("lambda", f"layer:{place.service}-dependencies")
    return [layer, f"{layer}:*"]


def service_alarms(place: Place) -> list[str]:
    """The ARNs of the alarms of the environment's service; a preview has none."""
    return [place.arn("cloudwatch", f"alarm:{place.service}-{alarm}*") for alarm in _ALARMS]


def service_deployments(place: Place, kind: str = "*") -> str:
    """The ARN of CodeDeploy's application and deployment groups; a preview has none."""
    return place.arn("codedeploy", f"{kind}:{place.service}-{_APPLICATION}*")


def service_functions(place: Place) -> str:
    """The ARN of the functions of all services and previews of the account's region."""
    return place.arn("lambda", f"function:{SERVICE}-*")


def hooks(place: Place) -> list[str]:
    """The ARNs of the functions that check releases of the environment and its previews."""
    return [*own_hooks(place), hook(place, f"{PREVIEW_MARK}*")]


def own_hooks(place: Place) -> list[str]:
    """The ARNs of that of the environment's own service, and of its versions."""
    own = hook(place)
    return [own, f"{own}:*"]


def hook(place: Place, preview: str = "") -> str:
    """The ARN of the function that checks a release before it takes calls."""
    name = load_contract().name("smoke_check", environment=f"{place.environment}{preview}")
    return place.arn("lambda", f"function:{name}")


def queues(place: Place) -> list[str]:
    """The ARNs of the queues of the environment's service and previews."""
    return [own_queue(place), _queue(place, f"{PREVIEW_MARK}*")]


def own_queue(place: Place) -> str:
    """The ARN of the queue of the environment's own service."""
    return _queue(place)


def _queue(place: Place, preview: str = "") -> str:
    return place.arn("sqs", f"{failure_queue(place.environment + preview)}*")


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
    return {"StringLike": {_STACK: list(names)}}


def of_other_stacks(place: Place) -> Mapping[str, object]:
    """The condition that a resource belongs to a stack, but to none of the environment's service.

    Nobody can set or remove the tag: AWS keeps its prefix to itself.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html
    """
    return {"StringNotLike": {_STACK: [place.service, place.previews]}, "Null": {_STACK: "false"}}


def with_environment_key(place: Place) -> Mapping[str, object]:
    """The condition that the key is the environment's."""
    # A key has no id before it exists, but its alias is known.
    return _with_key(place.key_alias())


def with_state_key(place: Place) -> Mapping[str, object]:
    """The condition that the key is the one that encrypts Terraform's states."""
    return _with_key(state_key_alias(place.region))


def with_any_state_key() -> Mapping[str, object]:
    """The condition that the key encrypts the states of any region, for it has a tag of none."""
    return _with_key([state_key_alias(region) for region in REGION_CODES])


def _with_key(aliases: str | Sequence[str]) -> Mapping[str, object]:
    return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": aliases}}


def state_objects(place: Place) -> list[str]:
    """The ARNs of the data platform's state, in the default workspace and in all others."""
    return [
        f"{place.state_bucket}/{place.platform}/*",
        f"{place.state_bucket}/env:/*/{place.platform}/*",
    ]


def of_own_states(place: Place) -> Mapping[str, object]:
    """The condition that an item of the table of locks belongs to a state of the data platform.

    All environments share the table. Terraform names an item after the bucket and the state.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    https://developer.hashicorp.com/terraform/language/backend/s3
    """
    states = [arn.rpartition(":::")[2] for arn in state_objects(place)]
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": states}}
