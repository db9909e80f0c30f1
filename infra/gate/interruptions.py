"""What a plan interrupts, and for how long."""

from collections.abc import Iterator, Mapping

from infra.gate.changes import Change

# What stops when the resource goes.
_ENDS: Mapping[str, str] = {
    "aws_db_proxy": "connections through the proxy end; redeploy the services right after this: "
    "they need the new endpoint",
    "aws_internet_gateway": "all connections to the internet end",
    "aws_nat_gateway": "connections of functions to the internet end; new ones work in a minute",
    "aws_rds_cluster_instance": "connections to this instance end; if it was the writer, a reader "
    "takes over within a minute",
    "aws_route": "connections over this route end",
    "aws_security_group": "connections that it allows end",
    "aws_sns_topic": "alarms reach nobody until each address has confirmed its subscription again",
    "aws_subnet": "connections of functions in this subnet end",
    "aws_vpc_endpoint": "calls to this service of AWS fail until the route around it works, which "
    "takes a minute",
    "aws_vpc_security_group_egress_rule": "connections that it allows end; deployed services may "
    "need them until they are redeployed",
    "aws_vpc_security_group_ingress_rule": "connections that it allows end; deployed services may "
    "need them until they are redeployed",
}
# An instance restarts for a new class. Without `apply_immediately`, RDS waits for the window.
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Modifying.html
_RESTARTS: Mapping[tuple[str, str], str] = {
    ("aws_rds_cluster", "engine_version"): "all instances restart, for some minutes",
    (
        "aws_rds_cluster_instance",
        "instance_class",
    ): "the instance restarts, for some minutes; if it "
    "is the writer, a reader takes over within a minute",
}
_ROUTE_TARGETS = ("gateway_id", "nat_gateway_id")
PROTECTION = "deletion_protection"


def interrupted(change: Change) -> Iterator[str]:
    """Describe what one change interrupts."""
    if change.goes and change.type in _ENDS:
        yield _ENDS[change.type]
    for (type_, name), what in _RESTARTS.items():
        if type_ == change.type and change.alters(name):
            when = "now" if change.after.get("apply_immediately") else "in the maintenance window"
            yield f"{name} becomes {change.after[name]}: {when}, {what}"
    if change.type == "aws_route" and any(map(change.may_alter, _ROUTE_TARGETS)):
        yield "connections over this route end; new ones work within seconds"
    if change.alters(PROTECTION) and change.before.get(PROTECTION):
        yield "its protection ends: from then on `make destroy-infra` destroys all trades"
