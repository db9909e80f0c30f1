"""The role with which API Gateway writes logs."""

from constructs import Construct

from infra.config.naming import resource_name
from infra.constructs.iam import service_role
from infra.provider.bindings import ApiGatewayAccount, IamRolePolicyAttachment

_LOGS = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"


class ApiLogs(Construct):
    """API Gateway has one role for all APIs of an account in a region.

    It may write and read every log group, so no deployer of a service creates or passes it.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    """

    def __init__(self, scope: Construct, id_: str, *, region: str) -> None:
        super().__init__(scope, id_)
        role = service_role(
            self,
            "role",
            name=resource_name("role", region, "", "api-logs"),
            service="apigateway.amazonaws.com",
        )
        rights = IamRolePolicyAttachment(self, "rights", role=role.name, policy_arn=_LOGS)
        # API Gateway tries the role when it is given it.
        ApiGatewayAccount(self, "account", cloudwatch_role_arn=role.arn, depends_on=[rights])
