"""All policies of an environment, by name."""

from collections.abc import Callable, Mapping

from infra.config.place import Place
from infra.policies.infra_deployer import INFRA_DEPLOYER, infra_deployer
from infra.policies.planner import PLANNER, planner
from infra.policies.preview_limits import PREVIEW_LIMITS, preview_limits
from infra.policies.service_boundary import BOUNDARY, service_boundary
from infra.policies.service_deployer import SERVICE_DEPLOYER, service_deployer
from infra.policies.statements import Document

POLICIES: Mapping[str, Callable[[Place], Document]] = {
    BOUNDARY: service_boundary,
    SERVICE_DEPLOYER: service_deployer,
    PREVIEW_LIMITS: preview_limits,
    INFRA_DEPLOYER: infra_deployer,
    PLANNER: planner,
}
