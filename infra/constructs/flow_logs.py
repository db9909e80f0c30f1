"""The VPC's flow logs."""

from constructs import Construct

from infra.config.place import Place
from infra.constructs.iam import policy, service_role
from infra.constructs.logs import encrypted_log_group
from infra.provider.bindings import FlowLog, IamRolePolicy


class FlowLogs(Construct):
    """A log of all accepted and rejected connections, in an encrypted log group."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        vpc_id: str,
        key_arn: str,
        retention_days: int,
    ) -> None:
        super().__init__(scope, id_)
        log_group = encrypted_log_group(
            self,
            "log-group",
            name=place.log_group("flow-logs"),
            key_arn=key_arn,
            retention_days=retention_days,
        )
        # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
        role = service_role(
            self,
            "role",
            name=place.name("role", "flow-logs"),
            service="vpc-flow-logs.amazonaws.com",
            account=place.account,
        )
        rights = IamRolePolicy(
            self,
            "rights",
            name="write-flow-logs",
            role=role.id,
            policy=policy(
                {
                    "Action": [
                        "logs:CreateLogStream",
                        "logs:DescribeLogStreams",
                        "logs:PutLogEvents",
                    ],
                    "Resource": f"{log_group.arn}:*",
                },
                {"Action": "logs:DescribeLogGroups", "Resource": "*"},
            ),
        )
        FlowLog(
            self,
            "flow-log",
            vpc_id=vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=log_group.arn,
            iam_role_arn=role.arn,
            # A tenth of the default of ten minutes: an incident shows while it happens.
            max_aggregation_interval=60,
            depends_on=[rights],
        )
