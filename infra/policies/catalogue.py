"""All policies of an environment, by name."""

from infra.policies.infra_deployer import infra_deployer
from infra.policies.place import BOUNDARY, INFRA_DEPLOYER, PLANNER, SERVICE_DEPLOYER
from infra.policies.planner import planner
from infra.policies.service_boundary import service_boundary
from infra.policies.service_deployer import service_deployer

POLICIES = {
    BOUNDARY: service_boundary,
    SERVICE_DEPLOYER: service_deployer,
    INFRA_DEPLOYER: infra_deployer,
    PLANNER: planner,
}
