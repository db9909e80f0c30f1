"""RDS Proxy: many functions, few database connections."""

from collections.abc import Sequence

from constructs import Construct

from infra.config.naming import resource_name
from infra.constructs.database import Database
from infra.constructs.iam import policy, service_role
from infra.provider.bindings import (
    DbProxy,
    DbProxyAuth,
    DbProxyDefaultTargetGroup,
    DbProxyDefaultTargetGroupConnectionPoolConfig,
    DbProxyEndpoint,
    DbProxyTarget,
    Fn,
    IamRolePolicy,
    SecurityGroup,
)

_BORROW_TIMEOUT_SECONDS = 10
_IDLE_CLIENT_TIMEOUT_SECONDS = 1800


class DatabaseProxy(Construct):
    """A proxy before the writer, and one before the readers if there are any; TLS only.

    It opens no more connections than the share of the services.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        database: Database,
        region: str,
        environment: str,
        subnet_ids: Sequence[str],
        security_group: SecurityGroup,
        key_arn: str,
    ) -> None:
        super().__init__(scope, id_)
        name = resource_name("proxy", region, environment)
        secrets = [database.app_secret.arn, database.master_secret_arn]
        role = service_role(
            self,
            "role",
            name=resource_name("role", region, environment, "proxy"),
            service="rds.amazonaws.com",
        )
        rights = IamRolePolicy(
            self,
            "rights",
            name="read-secrets",
            role=role.id,
            policy=policy(
                {"Action": "secretsmanager:GetSecretValue", "Resource": secrets},
                {
                    "Action": "kms:Decrypt",
                    "Resource": key_arn,
                    "Condition": {
                        "StringEquals": {"kms:ViaService": f"secretsmanager.{region}.amazonaws.com"}
                    },
                },
            ),
        )
        self.proxy = DbProxy(
            self,
            "proxy",
            name=name,
            engine_family="MYSQL",
            role_arn=role.arn,
            require_tls=True,
            idle_client_timeout=_IDLE_CLIENT_TIMEOUT_SECONDS,
            vpc_subnet_ids=list(subnet_ids),
            vpc_security_group_ids=[security_group.id],
            auth=[
                DbProxyAuth(auth_scheme="SECRETS", iam_auth="DISABLED", secret_arn=secret)
                for secret in secrets
            ],
            depends_on=[rights],
        )
        targets = DbProxyDefaultTargetGroup(
            self,
            "target-group",
            db_proxy_name=self.proxy.name,
            connection_pool_config=DbProxyDefaultTargetGroupConnectionPoolConfig(
                max_connections_percent=database.config.connection_share_percent,
                max_idle_connections_percent=database.config.connection_share_percent // 2,
                connection_borrow_timeout=_BORROW_TIMEOUT_SECONDS,
            ),
        )
        DbProxyTarget(
            self,
            "target",
            db_proxy_name=self.proxy.name,
            target_group_name=targets.name,
            db_cluster_identifier=database.cluster.id,
            # A target is registered with what the cluster consists of at that time.
            depends_on=database.instances,
        )
        self.endpoint = self.proxy.endpoint
        # arn:aws:rds:<region>:<account>:db-proxy:<resource id>
        self.resource_id = Fn.element(Fn.split(":", self.proxy.arn), 6)
        self.reader_endpoint = self.endpoint
        if database.config.readers:
            self.reader_endpoint = DbProxyEndpoint(
                self,
                "reader-endpoint",
                db_proxy_name=self.proxy.name,
                db_proxy_endpoint_name=resource_name("proxy", region, environment, "reader"),
                target_role="READ_ONLY",
                vpc_subnet_ids=list(subnet_ids),
                vpc_security_group_ids=[security_group.id],
            ).endpoint
