"""How the resources of a plan refer to each other, and where they are."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.gate.calls import CALLS
from infra.gate.changes import Change, Plan, Values

UNKNOWN = "1"
_NO_ACCOUNT = "000000000000"


class References:
    """The references between the resources of a plan, and their values as far as they are known."""

    def __init__(self, plan: Plan) -> None:
        configuration = plan.get("configuration", {})
        resources = configuration.get("root_module", {}).get("resources", [])
        self._configured = {resource["address"]: resource for resource in resources}
        self._providers = configuration.get("provider_config", {})
        self._resources = {
            resource["address"]: resource for resource in plan.get("resource_changes", [])
        }
        self.account = _account(plan)

    def of_type(self, type_: str) -> Iterator[tuple[str, Values]]:
        """Address and values of each resource of a type as it will be."""
        for address, resource in self._resources.items():
            values = resource["change"].get("after")
            if resource.get("type") == type_ and values:
                yield address, values

    def value(self, change: Change, attribute: str, values: Values) -> str:
        """An attribute's value: as planned, or the name of what it refers to, or `UNKNOWN`."""
        if values.get(attribute):
            return str(values[attribute])
        names = (self._name(address) for address in self.targets(change.address, attribute))
        return next(filter(None, names), UNKNOWN)

    def targets(self, address: str, attribute: str) -> list[str]:
        """The addresses of the planned resources that an attribute of a resource refers to.

        The configuration of a resource that goes is gone: its value is compared with theirs.
        """
        if address not in self._configured:
            value = self._before(address).get(attribute)
            return [
                other
                for other in self._resources
                if value and value in (self._before(other).get(name) for name in ("id", "arn"))
            ]
        expressions = self._configured.get(address, {}).get("expressions", {})
        named = expressions.get(attribute, {}).get("references", [])
        return [target for target in named if target in self._resources]

    def values(self, address: str) -> Values:
        """The values of a resource as it will be, or as it was."""
        change = self._resources[address]["change"]
        values: Values = change.get("after") or change.get("before") or {}
        return values

    def region(self, address: str) -> str:
        """The region of a resource, empty if the plan does not say."""
        if address not in self._configured:
            return "".join(str(self._before(address).get("arn", "")).split(":")[3:4])
        key = self._configured.get(address, {}).get("provider_config_key")
        expressions = self._providers.get(key, {}).get("expressions", {})
        return str(expressions.get("region", {}).get("constant_value", ""))

    def _before(self, address: str) -> Values:
        before: Values = self._resources[address]["change"].get("before") or {}
        return before

    def _name(self, address: str) -> str:
        """What a resource is called in its ARN, empty if that is not known."""
        calls = CALLS.get(address.partition(".")[0])
        attributes = re.findall(r"\{(\w+)\}", calls.on) if calls else []
        return str(self.values(address).get(attributes[-1]) or "") if attributes else ""


def _account(plan: Plan) -> str:
    """The account that the plan was made in, which its stack looks up."""
    state: Mapping[str, Any] = plan.get("prior_state", {}).get("values", {}).get("root_module", {})
    found = [
        resource["values"].get("account_id")
        for resource in state.get("resources", [])
        if resource["type"] == "aws_caller_identity"
    ]
    return found[0] or _NO_ACCOUNT if found else _NO_ACCOUNT
