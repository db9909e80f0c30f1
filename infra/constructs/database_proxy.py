"""RDS Proxy: many functions, few database connections."""

from collections.abc import Sequence

from constructs import Construct

from infra.config.place import Place
from infra.constructs.database import PORT, Database
from infra.constructs.iam import policy, service_role
from infra.constructs.logs import encrypted_log_group
from infra.constructs.network import Network
from infra.constructs.resources import accept
from infra.provider.bindings import (
    DbProxy,
    DbProxyAuth,
    DbProxyDefaultTargetGroup,
    DbProxyDefaultTargetGroupConnectionPoolConfig,
    DbProxyEndpoint,
    DbProxyTarget,
    Fn,
    IamRolePolicy,
)

_BORROW_TIMEOUT_SECONDS = 10
_IDLE_CLIENT_TIMEOUT_SECONDS = 1800


class DatabaseProxy(Construct):
    """A proxy in front of the writer, and one in front of the readers if there are any; TLS only.

    It opens no more connections than the services' share.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        place: Place,
        database: Database,
        network: Network,
        key_arn: str,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, id_)
        self._place = place
        self._database = database
        self._subnet_ids = list(network.private_subnet_ids.values())
        self._security_group = network.security_group("proxy", "The proxy of the database")
        accept(self._security_group, "CKV2_AWS_5", "checkov does not know database proxies")
        network.allow("lambda", "proxy", PORT)
        network.allow("proxy", "database", PORT)
        secrets = [database.app_secret.arn, database.master_secret_arn]
        self.proxy = self._proxy(secrets, key_arn, log_retention_days)
        self._add_targets()
        self.endpoint = self.proxy.endpoint
        # arn:aws:rds:<region>:<account>:db-proxy:<resource id>
        self.resource_id = Fn.element(Fn.split(":", self.proxy.arn), 6)
        self.reader_endpoint = self.endpoint
        if database.config.readers:
            self.reader_endpoint = DbProxyEndpoint(
                self,
                "reader-endpoint",
                db_proxy_name=self.proxy.name,
                db_proxy_endpoint_name=place.name("proxy", "reader"),
                target_role="READ_ONLY",
                vpc_subnet_ids=self._subnet_ids,
                vpc_security_group_ids=[self._security_group.id],
            ).endpoint

    def _proxy(self, secrets: Sequence[str], key_arn: str, log_retention_days: int) -> DbProxy:
        name = self._place.name("proxy")
        # If RDS created it, it would be unencrypted and would never expire.
        # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy-troubleshooting.html
        log_group = encrypted_log_group(
            self,
            "log-group",
            name=f"/aws/rds/proxy/{name}",
            key_arn=key_arn,
            retention_days=log_retention_days,
        )
        role = service_role(
            self, "role", name=self._place.name("role", "proxy"), service="rds.amazonaws.com"
        )
        through = f"secretsmanager.{self._place.region}.amazonaws.com"
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
                    "Condition": {"StringEquals": {"kms:ViaService": through}},
                },
            ),
        )
        return DbProxy(
            self,
            "proxy",
            name=name,
            engine_family="MYSQL",
            role_arn=role.arn,
            require_tls=True,
            idle_client_timeout=_IDLE_CLIENT_TIMEOUT_SECONDS,
            vpc_subnet_ids=self._subnet_ids,
            vpc_security_group_ids=[self._security_group.id],
            auth=[
                DbProxyAuth(auth_scheme="SECRETS", iam_auth="DISABLED", secret_arn=secret)
                for secret in secrets
            ],
            depends_on=[rights, log_group],
        )

    def _add_targets(self) -> None:
        share = self._database.config.connection_share_percent
        targets = DbProxyDefaultTargetGroup(
            self,
            "target-group",
            db_proxy_name=self.proxy.name,
            connection_pool_config=DbProxyDefaultTargetGroupConnectionPoolConfig(
                max_connections_percent=share,
                max_idle_connections_percent=share // 2,
                connection_borrow_timeout=_BORROW_TIMEOUT_SECONDS,
            ),
        )
        DbProxyTarget(
            self,
            "target",
            db_proxy_name=self.proxy.name,
            target_group_name=targets.name,
            db_cluster_identifier=self._database.cluster.id,
            # RDS registers the instances that the cluster has at that time.
            depends_on=self._database.instances,
        )
