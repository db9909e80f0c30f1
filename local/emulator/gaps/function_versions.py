"""Function versions without a change.

AWS: Lambda publishes no version if code and configuration equal those of the latest one.
CloudFormation rejects the resource: "A version for this Lambda function exists".
https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html
ministack: compares the function's revision, which every update changes, even a revert.
Here: code and configuration are compared. Remove once ministack compares them.
"""

from __future__ import annotations

import copy
from typing import Any

from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

_VERSION = "AWS::Lambda::Version"
# Every update changes these, some of them twice: when it begins, and when it has taken effect.
_OF_THE_UPDATE = frozenset(
    {
        "LastModified",
        "LastUpdateStatus",
        "LastUpdateStatusReason",
        "LastUpdateStatusReasonCode",
        "RevisionId",
        "State",
        "StateReason",
        "StateReasonCode",
    }
)


def install() -> None:
    """Compare the function with its latest version before CloudFormation publishes one."""
    publish = lambda_svc._publish_version
    create = provisioners._RESOURCE_HANDLERS[_VERSION]["create"]

    def publish_version(name: str, data: dict[str, Any]) -> Any:
        answer = publish(name, data)
        function = lambda_svc._functions.get(name)
        if function and function["versions"]:
            latest = function["versions"][max(function["versions"], key=int)]
            latest.setdefault("published_from", _identity(function))
        return answer

    def create_version(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
        function, _name = provisioners._lambda_version_function(properties)
        if function and function["versions"]:
            number = max(function["versions"], key=int)
            if function["versions"][number].get("published_from") == _identity(function):
                raise ValueError(
                    f"A version for this Lambda function exists ( {number} ). Modify the function "
                    "to create a new version."
                )
        return create(logical_id, properties, stack)

    lambda_svc._publish_version = publish_version
    provisioners._RESOURCE_HANDLERS[_VERSION]["create"] = create_version


def _identity(function: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a function, with the hash of its code."""
    return {
        key: copy.deepcopy(value)
        for key, value in function["config"].items()
        if key not in _OF_THE_UPDATE
    }
