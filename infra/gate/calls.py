"""The calls that Terraform's AWS provider makes for each type of resource.

A plan names resources, and policies name actions: this table translates between them. The
certificate compares it with the calls that the provider makes on the local platform
(`make certify`), so a missing action is found there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Action:
    """An action on a resource, if the attribute `when` is set, for a service's role `service`.

    `on` is as in `Calls`. `tags_of` is the attribute that refers to the resource, if that is not
    the one that the plan changes: a policy may ask for its tags.
    """

    name: str
    on: str = ""
    service: str = ""
    when: str = ""
    tags_of: str = ""


Actions = Sequence[str | Action]


@dataclass(frozen=True)
class Blocks:
    """The call that takes the blocks of one name in its parameter `member`.

    `names` has the members of an item by the attributes of a block.
    """

    operation: str
    member: str
    names: Mapping[str, str]


@dataclass(frozen=True)
class Calls:
    """The calls that create, change and destroy a type of resource.

    `on` is the part of its ARN after `arn:aws:`, with attributes in braces; an attribute may also
    be a whole ARN. `{region}` and `{account}` are those of the resource. An id that is not known
    before the apply is `1`.
    `operation` is the service and operation, by botocore's names, that take the attributes as
    parameters; `names` has the parameters whose names differ. `blocks` are those of its blocks that
    a further call takes.
    """

    on: str
    operation: str
    add: Actions
    destroy: Actions
    change: Actions = ()
    names: Mapping[str, str] | None = None
    blocks: Mapping[str, Blocks] = field(default_factory=dict)


def _ec2(kind: str, name: str, *, more: Actions = (), destroy: Actions = ()) -> Calls:
    """A part of a network, which EC2 creates and deletes by name."""
    return Calls(
        on=f"ec2:{{region}}:{{account}}:{kind}/1",
        operation=f"ec2:Create{name}",
        add=[f"ec2:Create{name}", "ec2:CreateTags", *more],
        change=["ec2:CreateTags", "ec2:DeleteTags", *more],
        destroy=destroy or [f"ec2:Delete{name}"],
    )


_ENVIRONMENT_KEY = "kms:{region}:{account}:key/1"


def _pass(service: str, attribute: str, when: str = "") -> Action:
    """The action that passes the role which an attribute names to a service."""
    on = f"iam::{{account}}:role/{{{attribute}}}"
    return Action("iam:PassRole", on, f"{service}.amazonaws.com", when or attribute)


def _alias(verb: str) -> Action:
    """The action on its key that a change of an alias needs."""
    return Action(f"kms:{verb}Alias", _ENVIRONMENT_KEY, tags_of="target_key_id")


def _grant(when: str) -> list[Action]:
    """The actions that a service needs to encrypt with a key for its caller."""
    return [
        Action(f"kms:{name}", _ENVIRONMENT_KEY, when=when, tags_of=when)
        for name in ("CreateGrant", "DescribeKey")
    ]


def _rds(
    kind: str,
    name: str,
    attribute: str,
    /,
    *,
    further: Actions = (),
    blocks: Mapping[str, Blocks] | None = None,
    **names: str,
) -> Calls:
    return Calls(
        on=f"rds:{{region}}:{{account}}:{kind}:{{{attribute}}}",
        operation=f"rds:Create{name}",
        add=[f"rds:Create{name}", "rds:AddTagsToResource", *further],
        change=[f"rds:Modify{name}", "rds:AddTagsToResource", "rds:RemoveTagsFromResource"],
        destroy=[f"rds:Delete{name}"],
        names=names,
        blocks=blocks or {},
    )


def _parameters(operation: str) -> Mapping[str, Blocks]:
    """The blocks of a parameter group."""
    names = {"name": "ParameterName", "value": "ParameterValue", "apply_method": "ApplyMethod"}
    return {"parameter": Blocks(operation, "Parameters", names)}


def _bucket(name: str, action: str = "", delete: str = "") -> Calls:
    """A setting of a bucket that has its own requests to put and delete it."""
    put = f"s3:Put{action or name}"
    return Calls(
        on="s3:::{bucket}",
        operation=f"s3:Put{name}",
        add=[put],
        change=[put],
        destroy=[delete or put],
    )


CALLS: Mapping[str, Calls] = {
    "aws_backup_plan": Calls(
        on="backup:{region}:{account}:backup-plan:1",
        operation="backup:CreateBackupPlan",
        add=["backup:CreateBackupPlan", "backup:TagResource"],
        change=["backup:UpdateBackupPlan", "backup:TagResource", "backup:UntagResource"],
        destroy=["backup:DeleteBackupPlan"],
    ),
    "aws_backup_selection": Calls(
        on="backup:{region}:{account}:backup-plan:1",
        operation="backup:CreateBackupSelection",
        add=[
            Action("backup:CreateBackupSelection", tags_of="plan_id"),
            _pass("backup", "iam_role_arn"),
        ],
        destroy=[Action("backup:DeleteBackupSelection", tags_of="plan_id")],
    ),
    "aws_backup_vault": Calls(
        on="backup:{region}:{account}:backup-vault:{name}",
        operation="backup:CreateBackupVault",
        add=[
            "backup:CreateBackupVault",
            "backup:TagResource",
            # https://docs.aws.amazon.com/aws-backup/latest/devguide/create-a-vault.html
            Action("backup-storage:MountCapsule", "*"),
            *_grant("kms_key_arn"),
            Action("kms:Decrypt", _ENVIRONMENT_KEY, when="kms_key_arn", tags_of="kms_key_arn"),
            Action(
                "kms:GenerateDataKey", _ENVIRONMENT_KEY, when="kms_key_arn", tags_of="kms_key_arn"
            ),
        ],
        change=["backup:TagResource", "backup:UntagResource"],
        destroy=["backup:DeleteBackupVault"],
        names={"name": "BackupVaultName", "kms_key_arn": "EncryptionKeyArn"},
    ),
    "aws_cloudwatch_dashboard": Calls(
        on="cloudwatch::{account}:dashboard/{dashboard_name}",
        operation="cloudwatch:PutDashboard",
        add=["cloudwatch:PutDashboard"],
        change=["cloudwatch:PutDashboard"],
        destroy=["cloudwatch:DeleteDashboards"],
    ),
    "aws_cloudwatch_log_group": Calls(
        on="logs:{region}:{account}:log-group:{name}",
        operation="logs:CreateLogGroup",
        add=[
            "logs:CreateLogGroup",
            "logs:TagResource",
            Action("logs:PutRetentionPolicy", when="retention_in_days"),
            Action("logs:AssociateKmsKey", when="kms_key_id"),
        ],
        change=[
            "logs:AssociateKmsKey",
            "logs:DisassociateKmsKey",
            "logs:PutRetentionPolicy",
            "logs:TagResource",
            "logs:UntagResource",
        ],
        destroy=["logs:DeleteLogGroup"],
        names={"name": "logGroupName"},
    ),
    "aws_cloudwatch_metric_alarm": Calls(
        on="cloudwatch:{region}:{account}:alarm:{alarm_name}",
        operation="cloudwatch:PutMetricAlarm",
        add=["cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"],
        change=["cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource"],
        destroy=["cloudwatch:DeleteAlarms"],
        names={"dimensions": "", "metric_query": ""},
    ),
    "aws_db_parameter_group": _rds(
        "pg",
        "DBParameterGroup",
        "name",
        further=["rds:ModifyDBParameterGroup"],
        blocks=_parameters("rds:ModifyDBParameterGroup"),
        name="DBParameterGroupName",
        family="DBParameterGroupFamily",
    ),
    "aws_db_proxy": Calls(
        on="rds:{region}:{account}:db-proxy:1",
        operation="rds:CreateDBProxy",
        add=["rds:CreateDBProxy", "rds:AddTagsToResource", _pass("rds", "role_arn")],
        change=["rds:ModifyDBProxy", "rds:AddTagsToResource", "rds:RemoveTagsFromResource"],
        destroy=["rds:DeleteDBProxy"],
        names={"name": "DBProxyName", "require_tls": "RequireTLS", "auth": ""},
    ),
    "aws_db_proxy_default_target_group": Calls(
        on="rds:{region}:{account}:target-group:1",
        operation="rds:ModifyDBProxyTargetGroup",
        add=["rds:ModifyDBProxyTargetGroup"],
        change=["rds:ModifyDBProxyTargetGroup"],
        destroy=[],
        names={"name": "", "connection_pool_config": ""},
    ),
    "aws_db_proxy_endpoint": Calls(
        on="rds:{region}:{account}:db-proxy-endpoint:1",
        operation="rds:CreateDBProxyEndpoint",
        add=["rds:CreateDBProxyEndpoint", "rds:AddTagsToResource"],
        change=["rds:ModifyDBProxyEndpoint", "rds:AddTagsToResource", "rds:RemoveTagsFromResource"],
        destroy=["rds:DeleteDBProxyEndpoint"],
    ),
    "aws_db_proxy_target": Calls(
        on="rds:{region}:{account}:target-group:1",
        operation="rds:RegisterDBProxyTargets",
        add=["rds:RegisterDBProxyTargets"],
        destroy=["rds:DeregisterDBProxyTargets"],
    ),
    "aws_db_subnet_group": _rds(
        "subgrp",
        "DBSubnetGroup",
        "name",
        name="DBSubnetGroupName",
        description="DBSubnetGroupDescription",
    ),
    "aws_default_security_group": Calls(
        on="ec2:{region}:{account}:security-group/1",
        operation="ec2:RevokeSecurityGroupIngress",
        add=[
            "ec2:CreateTags",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
        ],
        change=["ec2:CreateTags", "ec2:RevokeSecurityGroupIngress"],
        destroy=[],
        names={"name": "", "ingress": "", "egress": ""},
    ),
    "aws_eip": Calls(
        on="ec2:{region}:{account}:elastic-ip/1",
        operation="ec2:AllocateAddress",
        add=["ec2:AllocateAddress", "ec2:CreateTags"],
        change=["ec2:CreateTags", "ec2:DeleteTags"],
        destroy=["ec2:ReleaseAddress"],
    ),
    "aws_flow_log": Calls(
        on="ec2:{region}:{account}:vpc-flow-log/1",
        operation="ec2:CreateFlowLogs",
        add=["ec2:CreateFlowLogs", "ec2:CreateTags", _pass("vpc-flow-logs", "iam_role_arn")],
        change=["ec2:CreateTags", "ec2:DeleteTags"],
        destroy=["ec2:DeleteFlowLogs"],
        names={"iam_role_arn": "DeliverLogsPermissionArn"},
    ),
    "aws_iam_policy": Calls(
        on="iam::{account}:policy/{name}",
        operation="iam:CreatePolicy",
        add=["iam:CreatePolicy", "iam:TagPolicy"],
        change=["iam:CreatePolicyVersion", "iam:DeletePolicyVersion", "iam:ListPolicyVersions"],
        destroy=["iam:DeletePolicy", "iam:ListPolicyVersions"],
        names={"name": "PolicyName", "policy": "PolicyDocument"},
    ),
    "aws_iam_role": Calls(
        on="iam::{account}:role/{name}",
        operation="iam:CreateRole",
        add=["iam:CreateRole", "iam:TagRole"],
        change=["iam:UpdateAssumeRolePolicy", "iam:TagRole", "iam:UntagRole"],
        destroy=[
            "iam:DeleteRole",
            "iam:ListAttachedRolePolicies",
            "iam:ListInstanceProfilesForRole",
            "iam:ListRolePolicies",
        ],
        names={"name": "RoleName", "assume_role_policy": "AssumeRolePolicyDocument"},
    ),
    "aws_iam_role_policy": Calls(
        on="iam::{account}:role/{role}",
        operation="iam:PutRolePolicy",
        add=["iam:PutRolePolicy", "iam:GetRolePolicy"],
        change=["iam:PutRolePolicy"],
        destroy=["iam:DeleteRolePolicy"],
        names={"name": "PolicyName", "policy": "PolicyDocument", "role": "RoleName"},
    ),
    "aws_iam_role_policy_attachment": Calls(
        on="iam::{account}:role/{role}",
        operation="iam:AttachRolePolicy",
        add=["iam:AttachRolePolicy", "iam:ListAttachedRolePolicies"],
        destroy=["iam:DetachRolePolicy"],
        names={"role": "RoleName"},
    ),
    "aws_internet_gateway": _ec2(
        "internet-gateway",
        "InternetGateway",
        more=["ec2:AttachInternetGateway"],
        destroy=["ec2:DetachInternetGateway", "ec2:DeleteInternetGateway"],
    ),
    "aws_kms_alias": Calls(
        on="kms:{region}:{account}:{name}",
        operation="kms:CreateAlias",
        add=["kms:CreateAlias", _alias("Create")],
        change=["kms:UpdateAlias", _alias("Update")],
        destroy=["kms:DeleteAlias", _alias("Delete")],
        names={"name": "AliasName"},
    ),
    "aws_kms_key": Calls(
        on=_ENVIRONMENT_KEY,
        operation="kms:CreateKey",
        add=[
            Action("kms:CreateKey", "*"),
            "kms:DescribeKey",
            "kms:EnableKeyRotation",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:ListResourceTags",
            "kms:TagResource",
        ],
        change=["kms:EnableKeyRotation", "kms:PutKeyPolicy", "kms:UpdateKeyDescription"],
        destroy=["kms:ScheduleKeyDeletion"],
    ),
    "aws_nat_gateway": _ec2("natgateway", "NatGateway"),
    "aws_rds_cluster": _rds(
        "cluster",
        "DBCluster",
        "cluster_identifier",
        further=[
            *(
                Action(
                    "rds:CreateDBCluster",
                    f"rds:{{region}}:{{account}}:{kind}:{{{attribute}}}",
                    when=attribute,
                )
                for kind, attribute in (
                    ("subgrp", "db_subnet_group_name"),
                    ("cluster-pg", "db_cluster_parameter_group_name"),
                )
            ),
            # A password that RDS keeps for the user.
            # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html
            *(
                Action(
                    f"secretsmanager:{name}",
                    "secretsmanager:{region}:{account}:secret:rds!cluster-1",
                    when="manage_master_user_password",
                )
                for name in ("CreateSecret", "TagResource")
            ),
            Action(
                "iam:CreateServiceLinkedRole",
                "iam::{account}:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS",
                "rds.amazonaws.com",
            ),
            *_grant("kms_key_id"),
        ],
        cluster_identifier="DBClusterIdentifier",
        db_cluster_parameter_group_name="DBClusterParameterGroupName",
        iam_database_authentication_enabled="EnableIAMDatabaseAuthentication",
        enabled_cloudwatch_logs_exports="EnableCloudwatchLogsExports",
        serverlessv2_scaling_configuration="",
        scaling_configuration="",
    ),
    "aws_rds_cluster_instance": _rds(
        "db",
        "DBInstance",
        "identifier",
        further=[
            Action(
                "rds:CreateDBInstance",
                "rds:{region}:{account}:pg:{db_parameter_group_name}",
                when="db_parameter_group_name",
            ),
            Action("rds:CreateDBInstance", "rds:{region}:{account}:cluster:{cluster_identifier}"),
            Action("rds:CreateDBInstance", "rds:{region}:{account}:og:default:aurora-mysql-8-0"),
            _pass("monitoring.rds", "monitoring_role_arn", "monitoring_interval"),
        ],
        identifier="DBInstanceIdentifier",
        cluster_identifier="DBClusterIdentifier",
        instance_class="DBInstanceClass",
        performance_insights_enabled="EnablePerformanceInsights",
        performance_insights_kms_key_id="PerformanceInsightsKMSKeyId",
    ),
    "aws_rds_cluster_parameter_group": _rds(
        "cluster-pg",
        "DBClusterParameterGroup",
        "name",
        further=["rds:ModifyDBClusterParameterGroup"],
        blocks=_parameters("rds:ModifyDBClusterParameterGroup"),
        name="DBClusterParameterGroupName",
        family="DBParameterGroupFamily",
    ),
    "aws_rds_global_cluster": Calls(
        on="rds::{account}:global-cluster:{global_cluster_identifier}",
        operation="rds:CreateGlobalCluster",
        add=["rds:CreateGlobalCluster", "rds:AddTagsToResource"],
        change=["rds:ModifyGlobalCluster"],
        destroy=["rds:DeleteGlobalCluster", "rds:RemoveFromGlobalCluster"],
    ),
    "aws_route": Calls(
        on="ec2:{region}:{account}:route-table/1",
        operation="ec2:CreateRoute",
        add=["ec2:CreateRoute"],
        change=["ec2:ReplaceRoute"],
        destroy=["ec2:DeleteRoute"],
    ),
    "aws_route_table": _ec2("route-table", "RouteTable"),
    "aws_route_table_association": Calls(
        on="ec2:{region}:{account}:route-table/1",
        operation="ec2:AssociateRouteTable",
        add=["ec2:AssociateRouteTable"],
        change=["ec2:ReplaceRouteTableAssociation"],
        destroy=["ec2:DisassociateRouteTable"],
    ),
    "aws_s3_bucket": Calls(
        on="s3:::{bucket}",
        operation="s3:CreateBucket",
        add=["s3:CreateBucket", "s3:PutBucketTagging"],
        change=["s3:PutBucketTagging"],
        destroy=[
            "s3:DeleteBucket",
            *(
                Action(f"s3:{name}", "s3:::{bucket}/1", when="force_destroy")
                for name in ("DeleteObject", "DeleteObjectVersion")
            ),
            Action("s3:ListBucketVersions", when="force_destroy"),
        ],
        names={"cors_rule": "", "grant": "", "logging": ""},
    ),
    "aws_s3_bucket_lifecycle_configuration": _bucket(
        "BucketLifecycleConfiguration", "LifecycleConfiguration"
    ),
    "aws_s3_bucket_logging": _bucket("BucketLogging"),
    "aws_s3_bucket_ownership_controls": _bucket("BucketOwnershipControls"),
    "aws_s3_bucket_policy": _bucket("BucketPolicy", delete="s3:DeleteBucketPolicy"),
    "aws_s3_bucket_public_access_block": _bucket("PublicAccessBlock", "BucketPublicAccessBlock"),
    "aws_s3_bucket_server_side_encryption_configuration": _bucket(
        "BucketEncryption", "EncryptionConfiguration"
    ),
    "aws_s3_bucket_versioning": _bucket("BucketVersioning"),
    "aws_secretsmanager_secret": Calls(
        on="secretsmanager:{region}:{account}:secret:{name}-1",
        operation="secretsmanager:CreateSecret",
        add=[
            "secretsmanager:CreateSecret",
            "secretsmanager:TagResource",
            Action("secretsmanager:ReplicateSecretToRegions", when="replica"),
        ],
        change=[
            "secretsmanager:ReplicateSecretToRegions",
            "secretsmanager:TagResource",
            "secretsmanager:UntagResource",
            "secretsmanager:UpdateSecret",
        ],
        destroy=[
            "secretsmanager:DeleteSecret",
            Action("secretsmanager:RemoveRegionsFromReplication", when="replica"),
        ],
    ),
    "aws_secretsmanager_secret_version": Calls(
        on="secretsmanager:{region}:{account}:secret:{secret_id}",
        operation="secretsmanager:PutSecretValue",
        add=["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"],
        change=["secretsmanager:PutSecretValue"],
        destroy=["secretsmanager:UpdateSecretVersionStage"],
    ),
    "aws_security_group": Calls(
        on="ec2:{region}:{account}:security-group/1",
        operation="ec2:CreateSecurityGroup",
        add=["ec2:CreateSecurityGroup", "ec2:CreateTags", "ec2:RevokeSecurityGroupEgress"],
        change=["ec2:CreateTags", "ec2:DeleteTags"],
        destroy=["ec2:DeleteSecurityGroup", "ec2:DescribeNetworkInterfaces"],
        names={"name": "GroupName"},
    ),
    "aws_sns_topic": Calls(
        on="sns:{region}:{account}:{name}",
        operation="sns:CreateTopic",
        add=[
            "sns:CreateTopic",
            "sns:GetTopicAttributes",
            "sns:SetTopicAttributes",
            "sns:TagResource",
        ],
        change=["sns:SetTopicAttributes", "sns:TagResource", "sns:UntagResource"],
        destroy=["sns:DeleteTopic"],
    ),
    "aws_sns_topic_policy": Calls(
        on="sns:{region}:{account}:{arn}",
        operation="sns:SetTopicAttributes",
        add=["sns:SetTopicAttributes"],
        change=["sns:SetTopicAttributes"],
        destroy=["sns:SetTopicAttributes"],
    ),
    "aws_sns_topic_subscription": Calls(
        on="sns:{region}:{account}:{topic_arn}",
        operation="sns:Subscribe",
        add=["sns:Subscribe", "sns:GetSubscriptionAttributes"],
        change=["sns:SetSubscriptionAttributes"],
        destroy=["sns:Unsubscribe"],
    ),
    "aws_ssm_parameter": Calls(
        on="ssm:{region}:{account}:parameter{name}",
        operation="ssm:PutParameter",
        add=["ssm:AddTagsToResource", "ssm:GetParameter", "ssm:PutParameter"],
        change=["ssm:AddTagsToResource", "ssm:PutParameter", "ssm:RemoveTagsFromResource"],
        destroy=["ssm:DeleteParameter"],
    ),
    "aws_subnet": _ec2("subnet", "Subnet"),
    "aws_vpc": _ec2("vpc", "Vpc", more=["ec2:ModifyVpcAttribute"]),
    "aws_vpc_endpoint": _ec2("vpc-endpoint", "VpcEndpoint", destroy=["ec2:DeleteVpcEndpoints"]),
    "aws_vpc_security_group_egress_rule": Calls(
        on="ec2:{region}:{account}:security-group/1",
        operation="ec2:AuthorizeSecurityGroupEgress",
        add=["ec2:AuthorizeSecurityGroupEgress", "ec2:CreateTags"],
        change=["ec2:ModifySecurityGroupRules"],
        destroy=["ec2:RevokeSecurityGroupEgress"],
        names={"security_group_id": "GroupId", "description": ""},
    ),
    "aws_vpc_security_group_ingress_rule": Calls(
        on="ec2:{region}:{account}:security-group/1",
        operation="ec2:AuthorizeSecurityGroupIngress",
        add=["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags"],
        change=["ec2:ModifySecurityGroupRules"],
        destroy=["ec2:RevokeSecurityGroupIngress"],
        names={"security_group_id": "GroupId", "description": ""},
    ),
}
