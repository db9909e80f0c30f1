"""The changes in a plan, read from the JSON of `terraform show -json`.

https://developer.hashicorp.com/terraform/internals/json-format
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Plan = Mapping[str, Any]
Values = Mapping[str, Any]

# The name of each combination of actions in the JSON; the most harmful comes first.
_ACTIONS: Mapping[tuple[str, ...], str] = {
    ("delete",): "destroy",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
    ("create",): "add",
    ("update",): "change",
}
ACTIONS = tuple(dict.fromkeys(_ACTIONS.values()))
# After these, Terraform no longer manages the resource that was there.
GONE = ("destroy", "replace", "forget")


@dataclass(frozen=True)
class Change:
    """What happens to one resource, and which of its attributes force a replacement.

    `before` and `after` are its attributes. An attribute that only the apply will know is absent
    from `after`, and `unknown` has its name.
    """

    address: str
    action: str
    forced_by: tuple[str, ...] = ()
    type: str = field(default="", compare=False)
    before: Values = field(default_factory=dict, compare=False)
    after: Values = field(default_factory=dict, compare=False)
    unknown: frozenset[str] = field(default=frozenset(), compare=False)

    def __str__(self) -> str:
        forced = ", ".join(f"`{name}`" for name in self.forced_by)
        return f"{self.action} `{self.address}`" + (f", forced by {forced}" if forced else "")

    @property
    def goes(self) -> bool:
        """Whether the deployed resource goes away."""
        return self.action in GONE

    def alters(self, name: str) -> bool:
        """Whether the resource stays, and the attribute gets another, known value."""
        return (
            self.action == "change"
            and name in self.after
            and self.before.get(name) != self.after[name]
        )

    def may_alter(self, name: str) -> bool:
        """Whether the resource stays, and the attribute may get another value."""
        return self.alters(name) or (self.action == "change" and name in self.unknown)


def plan_changes(plan: Plan) -> Iterator[Change]:
    """The changes in a plan, without what stays or is only read."""
    for resource in plan.get("resource_changes", []):
        change = resource["change"]
        action = _ACTIONS.get(tuple(change["actions"]))
        if action:
            forced = (str(path[0]) for path in change.get("replace_paths", []))
            yield Change(
                resource["address"],
                action,
                tuple(dict.fromkeys(forced)),
                resource.get("type", resource["address"].partition(".")[0]),
                change.get("before") or {},
                change.get("after") or {},
                frozenset(
                    name for name, it in change.get("after_unknown", {}).items() if it is True
                ),
            )


def deployed_resources(plan: Plan) -> Iterator[tuple[str, str, Values]]:
    """Type, address and attributes of each resource that was deployed when the plan was made."""
    state = plan.get("prior_state", {}).get("values", {}).get("root_module", {})
    for resource in state.get("resources", []):
        if resource["mode"] == "managed":
            yield resource["type"], resource["address"], resource["values"]


def missing_accounts(plan: Plan) -> Iterator[str]:
    """The account of each resource in the state that no longer exists."""
    for drift in plan.get("resource_drift", []):
        change = drift["change"]
        if change["actions"] == ["delete"]:
            account = str((change.get("before") or {}).get("arn", "")).split(":")[4:5]
            yield from filter(None, account)
