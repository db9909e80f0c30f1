"""Policies, and roles that an AWS service assumes."""

import json
from collections.abc import Mapping

from constructs import Construct

from infra.provider.bindings import IamRole

Statement = Mapping[str, object]


def policy(*statements: Statement) -> str:
    """A policy document; each statement allows unless it says otherwise."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", **statement} for statement in statements],
        }
    )


def service_role(
    scope: Construct, id_: str, *, name: str, service: str, account: str | None = None
) -> IamRole:
    """A role for `service`; with `account`, only while the service acts for that account.

    Not every service states the account that it acts for. The condition would lock those out.
    """
    trust: dict[str, object] = {"Action": "sts:AssumeRole", "Principal": {"Service": service}}
    if account:
        trust["Condition"] = {"StringEquals": {"aws:SourceAccount": account}}
    return IamRole(scope, id_, name=name, assume_role_policy=policy(trust))
