"""What AWS would refuse of a plan: named before the first resource is made."""

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

    The values are judged, the calls by the policies of the infra deployer, and the uses that
    services of AWS make of keys, topics, buckets and roles by the policies of these.
    """
    yield from values.refused(plan)
    yield from locked_out(plan, region)
    yield from denied(plan, region, environment, _DEPLOYER)
