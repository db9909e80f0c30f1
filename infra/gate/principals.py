"""Which services of AWS cannot use what a plan gives them: keys, topics, buckets and roles.

The policies of these resources name the services. The account's IAM policies do not help.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.gate.calls import CALLS, Action
from infra.gate.changes import Plan, Values
from infra.gate.obstacles import Obstacle
from infra.gate.references import References
from infra.policies.evaluation import ALLOWED, Access, decision


@dataclass(frozen=True)
class Use:
    """A service that uses what the attribute of a type of resource refers to.

    `policy` is the type and attribute of the policy that must allow it. Its attribute `by` refers
    to the resource, unless the resource itself has the policy. Braces stand for its values.
    """

    resource: str
    attribute: str
    service: str
    actions: Sequence[str]
    policy: tuple[str, str]
    source: str
    by: str = ""
    context: Mapping[str, str] = field(default_factory=dict)


_ALARM_TOPIC = Use(
    resource="aws_cloudwatch_metric_alarm",
    attribute="alarm_actions",
    service="cloudwatch.amazonaws.com",
    actions=["sns:Publish"],
    policy=("aws_sns_topic_policy", "policy"),
    by="arn",
    source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html",
    context={
        "aws:SourceAccount": "{account}",
        "aws:SourceArn": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
        "aws:SecureTransport": "true",
    },
)
USES = (
    Use(
        resource="aws_cloudwatch_log_group",
        attribute="kms_key_id",
        service="logs.{region}.amazonaws.com",
        actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey"],
        policy=("aws_kms_key", "policy"),
        source="https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html",
        context={
            "kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:{region}:{account}:log-group:{name}"
        },
    ),
    # Alarms publish to the topic.
    Use(
        resource="aws_sns_topic",
        attribute="kms_master_key_id",
        service="cloudwatch.amazonaws.com",
        actions=["kms:Decrypt", "kms:GenerateDataKey"],
        policy=("aws_kms_key", "policy"),
        source="https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html",
        context={"aws:SourceAccount": "{account}"},
    ),
    _ALARM_TOPIC,
    Use(
        resource="aws_s3_bucket_logging",
        attribute="target_bucket",
        service="logging.s3.amazonaws.com",
        actions=["s3:PutObject"],
        policy=("aws_s3_bucket_policy", "policy"),
        by="bucket",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html",
        context={
            "aws:SourceAccount": "{account}",
            "aws:SecureTransport": "true",
            "aws:SourceArn": "arn:aws:s3:::trading-platform-data-useast1",
        },
    ),
)


def locked_out(plan: Plan, region: str) -> Iterator[Obstacle]:
    """The address of each resource that a service of AWS cannot use, and why."""
    references = References(plan)
    for use in USES:
        for address, values in references.of_type(use.resource):
            for policy_address in _policies(use, address, references):
                yield from _refusals(use, region, policy_address, references, values)
    yield from _untrusted(references)


def _policies(use: Use, address: str, references: References) -> list[str]:
    """The addresses of the policies on what the resource uses."""
    type_, attribute = use.policy
    used = references.targets(address, use.attribute)
    if not use.by:
        found = [target for target in used if target.startswith(f"{type_}.")]
    else:
        found = [
            policy
            for policy, _ in references.of_type(type_)
            if set(references.targets(policy, use.by)) & set(used)
        ]
    return [policy for policy in found if references.values(policy).get(attribute)]


def _refusals(
    use: Use, region: str, address: str, references: References, values: Values
) -> Iterator[Obstacle]:
    where = references.region(address) or region
    name = values.get("name") or values.get("alarm_name", "")
    names = {"region": where, "account": references.account, "name": name}
    service = use.service.format(**names)
    context = {key: value.format(**names) for key, value in use.context.items()}
    document = json.loads(references.values(address)[use.policy[1]])
    missing = [action for action in use.actions if not lets_in(document, service, action, context)]
    if missing:
        yield (
            address,
            f"its policy does not let {service} {', '.join(missing)}, which {use.resource} needs; "
            f"add a statement for the service ({use.source})",
        )


def _untrusted(references: References) -> Iterator[Obstacle]:
    """Roles that are passed to a service that they do not trust."""
    for type_, calls in CALLS.items():
        passed = [a for a in calls.add if isinstance(a, Action) and a.name == "iam:PassRole"]
        for action in passed:
            attribute = action.on.rpartition("{")[2].rstrip("}")
            for address, _ in references.of_type(type_):
                for role in references.targets(address, attribute):
                    trust = references.values(role).get("assume_role_policy")
                    context = {"aws:SourceAccount": references.account}
                    if trust and not lets_in(
                        json.loads(trust), action.service, "sts:AssumeRole", context
                    ):
                        yield (
                            role,
                            f"it does not trust {action.service}, which {address} passes it to; "
                            "name the service in assume_role_policy",
                        )


def lets_in(
    document: Mapping[str, Any], service: str, action: str, context: Mapping[str, str]
) -> bool:
    """Whether a resource's own policy lets a service of AWS do something with the resource."""
    statements = [
        {**statement, "Resource": "*"}
        for statement in document["Statement"]
        if _is_for(statement.get("Principal"), service)
    ]
    for statement in statements:
        statement.pop("NotResource", None)
    return decision(Access(action, "*", context), [{"Statement": statements}]) == ALLOWED


def _is_for(principal: Any, service: str) -> bool:
    if not isinstance(principal, Mapping):
        return bool(principal == "*")
    named = principal.get("Service", [])
    return service in ([named] if isinstance(named, str) else named) or principal.get("AWS") == "*"
