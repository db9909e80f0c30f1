"""What the team of a service may do, and what the roles that it creates may do."""

import json

from constructs import Construct

from infra.config.place import Place
from infra.policies.service_boundary import BOUNDARY, service_boundary
from infra.policies.service_deployer import (
    SERVICE_DEPLOYER,
    SERVICE_DEPLOYER_ACCESS,
    service_deployer,
    service_deployer_access,
)
from infra.policies.statements import Document
from infra.provider.bindings import IamPolicy


class Access(Construct):
    """The boundary of services' roles, and the policies of those who deploy a service.

    `vpc` and `master_secret` are ARNs, and `database` is a resource id: what the roles of a service
    are bound to.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        vpc: str,
        master_secret: str,
        database: str,
    ) -> None:
        super().__init__(scope, id_)
        self._place = place
        self.boundary = self._policy(
            BOUNDARY,
            "The most that a role of a service can do",
            service_boundary(place, vpc=vpc, master_secret=master_secret, database=database),
        )
        self.service_deployer = self._policy(
            SERVICE_DEPLOYER, "Deploys services", service_deployer(place)
        )
        self.service_deployer_access = self._policy(
            SERVICE_DEPLOYER_ACCESS,
            "Creates the roles of services, and cannot touch the data platform",
            service_deployer_access(place),
        )

    def _policy(self, role: str, description: str, document: Document) -> IamPolicy:
        return IamPolicy(
            self,
            role,
            name=self._place.name("policy", role),
            description=description,
            policy=json.dumps(document),
        )
