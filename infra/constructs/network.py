"""VPC, subnets, routes and security groups."""

from collections.abc import Mapping

from constructs import Construct

from infra.bindings import (
    DefaultSecurityGroup,
    Eip,
    InternetGateway,
    NatGateway,
    Route,
    RouteTable,
    RouteTableAssociation,
    SecurityGroup,
    Subnet,
    Vpc,
    VpcSecurityGroupEgressRule,
    VpcSecurityGroupIngressRule,
)
from infra.config import RegionConfig, Zone
from infra.naming import resource_name

_ANYWHERE = "0.0.0.0/0"
_HTTPS = 443


class Network(Construct):
    """A VPC with a public and a private subnet in each zone, and one way out through NAT.

    Constructs are keyed by zone name, never by position, so that a further zone leaves the
    Terraform addresses of the others as they are.
    """

    def __init__(
        self, scope: Construct, id_: str, *, region: RegionConfig, environment: str
    ) -> None:
        super().__init__(scope, id_)
        self._region = region.region
        self._environment = environment
        self.vpc = Vpc(
            self,
            "vpc",
            cidr_block=region.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._name_tag(),
        )
        # AWS makes a default security group that lets all members talk: leave it without a rule.
        DefaultSecurityGroup(self, "default-security-group", vpc_id=self.vpc.id)
        self.public_subnet_ids = {
            zone.name: self._subnet(zone, "public", zone.public_cidr).id for zone in region.zones
        }
        self.private_subnet_ids = {
            zone.name: self._subnet(zone, "private", zone.private_cidr).id for zone in region.zones
        }
        self._route_public_subnets()
        self._route_private_subnets()
        self.lambda_security_group = self.security_group("lambda", "Functions of the services")
        self._allow_https_out()

    def security_group(self, role: str, description: str) -> SecurityGroup:
        """A security group without rules; each rule is a resource of its own."""
        return SecurityGroup(
            self,
            f"{role}-security-group",
            name=resource_name("security group", self._region, self._environment, role),
            description=description,
            vpc_id=self.vpc.id,
            tags=self._name_tag(role),
        )

    def allow_from_lambda(self, target: SecurityGroup, port: int, what: str) -> None:
        """Let functions, and nothing else, reach `target` on one TCP port."""
        VpcSecurityGroupEgressRule(
            self,
            f"lambda-to-{what}",
            security_group_id=self.lambda_security_group.id,
            description=f"Functions to the {what}",
            referenced_security_group_id=target.id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
        )
        VpcSecurityGroupIngressRule(
            self,
            f"{what}-from-lambda",
            security_group_id=target.id,
            description=f"The {what} from functions",
            referenced_security_group_id=self.lambda_security_group.id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
        )

    def _allow_https_out(self) -> None:
        VpcSecurityGroupEgressRule(
            self,
            "lambda-to-https",
            security_group_id=self.lambda_security_group.id,
            description="Functions to AWS APIs",
            cidr_ipv4=_ANYWHERE,
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
        )

    def _subnet(self, zone: Zone, tier: str, cidr: str) -> Subnet:
        return Subnet(
            self,
            f"{tier}-subnet-{zone.name}",
            vpc_id=self.vpc.id,
            availability_zone=zone.name,
            cidr_block=cidr,
            tags=self._name_tag(f"{tier}-{zone.name[-1]}"),
        )

    def _route_public_subnets(self) -> None:
        gateway = InternetGateway(
            self, "internet-gateway", vpc_id=self.vpc.id, tags=self._name_tag()
        )
        table = RouteTable(
            self, "public-route-table", vpc_id=self.vpc.id, tags=self._name_tag("public")
        )
        Route(
            self,
            "public-default-route",
            route_table_id=table.id,
            destination_cidr_block=_ANYWHERE,
            gateway_id=gateway.id,
        )
        for zone, subnet_id in self.public_subnet_ids.items():
            RouteTableAssociation(
                self, f"public-routes-{zone}", subnet_id=subnet_id, route_table_id=table.id
            )
        self._internet_gateway = gateway

    def _route_private_subnets(self) -> None:
        nat = self._nat_gateway()
        for zone, subnet_id in self.private_subnet_ids.items():
            # One table per zone: a NAT gateway per zone is then a change of routes alone.
            table = RouteTable(
                self,
                f"private-route-table-{zone}",
                vpc_id=self.vpc.id,
                tags=self._name_tag(f"private-{zone[-1]}"),
            )
            Route(
                self,
                f"private-default-route-{zone}",
                route_table_id=table.id,
                destination_cidr_block=_ANYWHERE,
                nat_gateway_id=nat.id,
            )
            RouteTableAssociation(
                self, f"private-routes-{zone}", subnet_id=subnet_id, route_table_id=table.id
            )

    def _nat_gateway(self) -> NatGateway:
        zone, subnet_id = next(iter(self.public_subnet_ids.items()))
        address = Eip(self, f"nat-address-{zone}", domain="vpc", tags=self._name_tag("nat"))
        return NatGateway(
            self,
            f"nat-gateway-{zone}",
            allocation_id=address.id,
            subnet_id=subnet_id,
            tags=self._name_tag(),
            # A NAT gateway is of no use before its VPC can reach the internet.
            depends_on=[self._internet_gateway],
        )

    def _name_tag(self, role: str = "") -> Mapping[str, str]:
        name = resource_name("security group", self._region, self._environment, role)
        return {"Name": name}
