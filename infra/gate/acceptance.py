"""Names what AWS would refuse in a plan, before anything is created."""

from collections.abc import Iterator

from infra.gate import values
from infra.gate.changes import Plan
from infra.gate.obstacles import Obstacle
from infra.gate.permissions import denied
from infra.gate.principals import locked_out
from infra.policies.infra_deployer import infra_deployer, infra_deployer_access

_DEPLOYER = (infra_deployer, infra_deployer_access)


def refused(plan: Plan, region: str, environment: str) -> Iterator[Obstacle]:
    """The address of each resource that AWS is known to refuse, and why.

    It judges three things: the values; the calls, by the infra deployer's policies; and how AWS
    services use keys, topics, buckets and roles, by the policies of those resources.
    """
    yield from values.refused(plan)
    yield from locked_out(plan, region)
    yield from denied(plan, region, environment, _DEPLOYER)
