"""What the team of a service may do, and what the roles that it creates may do."""

import json

from constructs import Construct

from infra.config.place import Place
from infra.policies.service_boundary import BOUNDARY, service_boundary
from infra.policies.service_deployer import SERVICE_DEPLOYER, service_deployer
from infra.provider.bindings import IamPolicy


class Access(Construct):
    """The boundary of services' roles, and the policy of those who deploy a service."""

    def __init__(self, scope: Construct, id_: str, *, place: Place) -> None:
        super().__init__(scope, id_)
        self.boundary = IamPolicy(
            self,
            BOUNDARY,
            name=place.name("policy", BOUNDARY),
            description="The most that a role of a service can do",
            policy=json.dumps(service_boundary(place)),
        )
        self.service_deployer = IamPolicy(
            self,
            SERVICE_DEPLOYER,
            name=place.name("policy", SERVICE_DEPLOYER),
            description="Deploys services, and cannot touch the data platform",
            policy=json.dumps(service_deployer(place)),
        )
