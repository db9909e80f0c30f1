"""All policies of an environment, by name."""

from collections.abc import Callable, Mapping

from infra.config.place import Place
from infra.policies.infra_deployer import (
    INFRA_DEPLOYER,
    INFRA_DEPLOYER_ACCESS,
    infra_deployer,
    infra_deployer_access,
)
from infra.policies.planner import PLANNER, planner
from infra.policies.preview_limits import PREVIEW_LIMITS, preview_limits
from infra.policies.service_boundary import BOUNDARY, service_boundary
from infra.policies.service_deployer import (
    SERVICE_DEPLOYER,
    SERVICE_DEPLOYER_ACCESS,
    service_deployer,
    service_deployer_access,
)
from infra.policies.statements import Document

POLICIES: Mapping[str, Callable[[Place], Document]] = {
    BOUNDARY: service_boundary,
    SERVICE_DEPLOYER: service_deployer,
    SERVICE_DEPLOYER_ACCESS: service_deployer_access,
    PREVIEW_LIMITS: preview_limits,
    INFRA_DEPLOYER: infra_deployer,
    INFRA_DEPLOYER_ACCESS: infra_deployer_access,
    PLANNER: planner,
}
