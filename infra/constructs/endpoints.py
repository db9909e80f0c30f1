"""VPC endpoints: ways to services of AWS that do not leave its network."""

from collections.abc import Sequence

from constructs import Construct

from infra.config.place import Place
from infra.constructs.iam import Statement, policy
from infra.constructs.network import HTTPS, Network
from infra.provider.bindings import VpcEndpoint, VpcSecurityGroupEgressRule

# What the functions call, other than S3.
_INTERFACES = ("kms", "logs", "secretsmanager", "ssm", "sts")


class Endpoints(Construct):
    """A gateway endpoint for S3, which is free; interface endpoints where `interfaces` is set.

    An endpoint only serves principals of this account and, for S3, buckets of this account. So no
    data leaves through an endpoint to another account. It can leave through a NAT gateway, where
    functions may call any address on port 443. Without NAT (`network.nat = "none"`), they cannot,
    but the names that they look up leave the VPC.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        network: Network,
        interfaces: bool,
    ) -> None:
        super().__init__(scope, id_)
        s3 = VpcEndpoint(
            self,
            "s3",
            vpc_id=network.vpc.id,
            service_name=f"com.amazonaws.{place.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(network.private_route_table_ids.values()),
            policy=policy(*_s3_statements(place)),
            tags=network.name_tag("s3"),
        )
        VpcSecurityGroupEgressRule(
            self,
            "lambda-to-s3",
            security_group_id=network.lambda_security_group.id,
            description="From lambda to S3, through the gateway endpoint",
            prefix_list_id=s3.prefix_list_id,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
        )
        if interfaces:
            self._interfaces(place, network)

    def _interfaces(self, place: Place, network: Network) -> None:
        group = network.security_group("endpoints", "Interface endpoints of AWS services")
        network.allow("lambda", "endpoints", HTTPS)
        for service in _INTERFACES:
            VpcEndpoint(
                self,
                service,
                vpc_id=network.vpc.id,
                service_name=f"com.amazonaws.{place.region}.{service}",
                vpc_endpoint_type="Interface",
                # The services' usual host names lead to the endpoint, so callers need no setting.
                private_dns_enabled=True,
                subnet_ids=list(network.private_subnet_ids.values()),
                security_group_ids=[group.id],
                policy=policy(_own_principals(place.account)),
                tags=network.name_tag(service),
            )


def _own_principals(account: str) -> Statement:
    return {
        "Sid": "OwnPrincipals",
        "Principal": "*",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": account}},
    }


def _s3_statements(place: Place) -> Sequence[Statement]:
    region = place.region.replace("-", "")
    answers = f"arn:aws:s3:::cloudformation-custom-resource-response-{region}"
    stacks = place.arn("cloudformation", "stack/*")
    return (
        {
            "Sid": "OwnBuckets",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceAccount": place.account}},
        },
        {
            # The function of a custom resource puts its answer into a bucket of CloudFormation that
            # all accounts share. The object's name begins with the ARN of the stack that asked: one
            # of another account would get what the function knows.
            # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-vpce-bucketnames.html
            "Sid": "AnswersToCloudFormation",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": f"{answers}/{stacks}",
        },
    )
