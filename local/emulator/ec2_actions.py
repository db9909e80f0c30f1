"""Lets gap modules extend ministack's EC2 actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import ec2

Parameters = dict[str, Any]
Record = dict[str, Any]


def after_creation(action: str, store: Any, hook: Callable[[Parameters, Record], None]) -> None:
    """Run `hook` with the request and each record that `action` has added to `store`."""
    original = ec2._ACTION_MAP[action]

    def handle(parameters: Parameters) -> Any:
        before = set(store.keys())
        response = original(parameters)
        for identifier in set(store.keys()) - before:
            hook(parameters, store[identifier])
        return response

    ec2._ACTION_MAP[action] = handle


def value(parameters: Parameters, name: str) -> str:
    """One request parameter; empty if it is absent."""
    return str(ec2._p(parameters, name))
