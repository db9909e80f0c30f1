"""What the services' teams may do, and what the roles they make may do."""

import json

from constructs import Construct

from infra.policies.place import BOUNDARY, SERVICE_DEPLOYER, Place
from infra.policies.service_boundary import service_boundary
from infra.policies.service_deployer import service_deployer
from infra.provider.bindings import IamPolicy


class Access(Construct):
    """The boundary of services' roles, and the policy for whoever deploys a service."""

    def __init__(self, scope: Construct, id_: str, *, place: Place) -> None:
        super().__init__(scope, id_)
        self.boundary = IamPolicy(
            self,
            BOUNDARY,
            name=place.policy_name(BOUNDARY),
            description="The most that a role of a service can do",
            policy=json.dumps(service_boundary(place)),
        )
        self.service_deployer = IamPolicy(
            self,
            SERVICE_DEPLOYER,
            name=place.policy_name(SERVICE_DEPLOYER),
            description="Deploys services, and cannot touch the data platform",
            policy=json.dumps(service_deployer(place)),
        )
