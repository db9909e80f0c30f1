"""VPC, subnets, routes and security groups."""

from collections.abc import Mapping
from typing import Literal

from constructs import Construct

from infra.config.place import Place
from infra.config.regions import RegionConfig, Zone
from infra.constructs.resources import accept
from infra.provider.bindings import (
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

_ANYWHERE = "0.0.0.0/0"
HTTPS = 443


class Network(Construct):
    """A VPC with a public and a private subnet in each zone.

    `nat` is how the private subnets reach the internet: through one NAT gateway in the first public
    subnet, through one per zone, or not at all. Constructs are keyed by the zone's name and not by
    its position, so a further zone changes no Terraform address of the others.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        region: RegionConfig,
        nat: Literal["single", "per-az", "none"],
    ) -> None:
        super().__init__(scope, id_)
        self._place = place
        self.vpc = Vpc(
            self,
            "vpc",
            cidr_block=str(region.network),
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self.name_tag(),
        )
        # AWS creates a default security group that lets its members talk. Remove its rules.
        DefaultSecurityGroup(self, "default-security-group", vpc_id=self.vpc.id)
        self.public_subnet_ids = {
            zone.name: self._subnet(zone, "public", zone.public_cidr).id for zone in region.zones
        }
        self.private_subnet_ids = {
            zone.name: self._subnet(zone, "private", zone.private_cidr).id for zone in region.zones
        }
        internet_gateway = self._route_public_subnets()
        self.nat_gateway_ids = {
            zone: self._nat_gateway(zone, internet_gateway)
            for zone in list(self.public_subnet_ids)[: {"none": 0, "single": 1}.get(nat)]
        }
        self.private_route_table_ids = {
            zone: self._route_private_subnet(zone) for zone in self.private_subnet_ids
        }
        self.lambda_security_group = self.security_group("lambda", "Functions of the services")
        accept(
            self.lambda_security_group,
            "CKV2_AWS_5",
            "the services' functions use it: they come with other stacks",
        )
        if self.nat_gateway_ids:
            self._allow_https_out()

    def security_group(self, role: str, description: str) -> SecurityGroup:
        """A security group without rules; each rule is a separate resource."""
        return SecurityGroup(
            self,
            f"{role}-security-group",
            name=self._place.name("security group", role),
            description=description,
            vpc_id=self.vpc.id,
            tags=self.name_tag(role),
        )

    def allow(self, source: str, target: str, port: int) -> None:
        """Let the members of one security group reach those of another on one TCP port.

        Both groups are named by their roles; `security_group` must have created them.
        """
        source_group, target_group = (self._security_group(role) for role in (source, target))
        VpcSecurityGroupEgressRule(
            self,
            f"{source}-to-{target}",
            security_group_id=source_group.id,
            description=f"From {source} to {target}",
            referenced_security_group_id=target_group.id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
        )
        VpcSecurityGroupIngressRule(
            self,
            f"{target}-from-{source}",
            security_group_id=target_group.id,
            description=f"To {target} from {source}",
            referenced_security_group_id=source_group.id,
            ip_protocol="tcp",
            from_port=port,
            to_port=port,
        )

    def name_tag(self, role: str = "") -> Mapping[str, str]:
        """The tag that the console shows as a network resource's name."""
        return {"Name": self._place.name("security group", role)}

    def _security_group(self, role: str) -> SecurityGroup:
        group = self.node.find_child(f"{role}-security-group")
        assert isinstance(group, SecurityGroup)  # noqa: S101 - for the type checker
        return group

    def _allow_https_out(self) -> None:
        VpcSecurityGroupEgressRule(
            self,
            "lambda-to-https",
            security_group_id=self.lambda_security_group.id,
            description="From lambda to the APIs of AWS, through NAT",
            cidr_ipv4=_ANYWHERE,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
        )

    def _subnet(self, zone: Zone, tier: str, cidr: str) -> Subnet:
        return Subnet(
            self,
            f"{tier}-subnet-{zone.name}",
            vpc_id=self.vpc.id,
            availability_zone=zone.name,
            cidr_block=cidr,
            tags=self.name_tag(f"{tier}-{zone.name[-1]}"),
        )

    def _route_public_subnets(self) -> InternetGateway:
        gateway = InternetGateway(
            self, "internet-gateway", vpc_id=self.vpc.id, tags=self.name_tag()
        )
        table = RouteTable(
            self, "public-route-table", vpc_id=self.vpc.id, tags=self.name_tag("public")
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
        return gateway

    def _route_private_subnet(self, zone: str) -> str:
        # With one table per zone, going to one NAT gateway per zone only changes routes.
        table = RouteTable(
            self,
            f"private-route-table-{zone}",
            vpc_id=self.vpc.id,
            tags=self.name_tag(f"private-{zone[-1]}"),
        )
        RouteTableAssociation(
            self,
            f"private-routes-{zone}",
            subnet_id=self.private_subnet_ids[zone],
            route_table_id=table.id,
        )
        if self.nat_gateway_ids:
            (first, *_) = self.nat_gateway_ids.values()
            Route(
                self,
                f"private-default-route-{zone}",
                route_table_id=table.id,
                destination_cidr_block=_ANYWHERE,
                nat_gateway_id=self.nat_gateway_ids.get(zone, first),
            )
        return table.id

    def _nat_gateway(self, zone: str, internet_gateway: InternetGateway) -> str:
        tags = self.name_tag(f"nat-{zone[-1]}")
        address = Eip(self, f"nat-address-{zone}", domain="vpc", tags=tags)
        gateway = NatGateway(
            self,
            f"nat-gateway-{zone}",
            allocation_id=address.id,
            subnet_id=self.public_subnet_ids[zone],
            tags=tags,
            # A NAT gateway only works once its VPC can reach the internet.
            depends_on=[internet_gateway],
        )
        return gateway.id
