"""The synthesized Aurora Global Database for several regions."""

import re
from pathlib import Path
from typing import Any

import pytest

from infra.commands.cost import estimate, load_prices
from infra.config.environment import load_environment
from infra.config.naming import global_name
from infra.config.place import Place
from infra.policies.evaluation import Access, decision
from infra.policies.planner import planner
from tests.support.synthesized import (
    REGIONS,
    Stack,
    differences,
    statements,
    synthesized,
    variant,
)

FILE = Path(__file__).parent / "environments" / "global.toml"
PRIMARY, *SECONDARIES = REGIONS
NAME = "trading-platform-global-qa"
WITH_PRIMARY = {"ENVIRONMENT_SUFFIX": "qa", "REGIONS": ",".join(REGIONS)}


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stack]:
    """The stacks by region."""
    folder = tmp_path_factory.mktemp("global")
    found = synthesized(folder, FILE.read_text(), **WITH_PRIMARY)
    return dict(zip(REGIONS, found.values(), strict=True))


def cluster(stack: Stack) -> Any:
    return stack.only("aws_rds_cluster")


def test_the_primary_region_makes_the_database_and_the_others_join_it_by_name(
    stacks: dict[str, Stack],
) -> None:
    made = stacks[PRIMARY].only("aws_rds_global_cluster")
    assert made["global_cluster_identifier"] == NAME == global_name("qa")
    assert made["storage_encrypted"] is True
    assert made["deletion_protection"] is True
    assert made["lifecycle"] == {"prevent_destroy": True}
    reference = cluster(stacks[PRIMARY])["global_cluster_identifier"]
    assert reference == stacks[PRIMARY].reference(
        "aws_rds_global_cluster", "global-database/global-cluster", "id"
    )
    for region in SECONDARIES:
        assert "aws_rds_global_cluster" not in stacks[region].counts()
        assert cluster(stacks[region])["global_cluster_identifier"] == NAME


def test_a_secondary_cluster_has_no_users_or_data_of_its_own_and_the_key_of_its_region(
    stacks: dict[str, Stack],
) -> None:
    for region in SECONDARIES:
        joined = cluster(stacks[region])
        assert not {name for name in joined if name.startswith(("master", "manage"))}
        assert "database_name" not in joined
        assert joined["source_region"] == PRIMARY
        assert joined["storage_encrypted"] is True
        assert joined["kms_key_id"] == "${data.aws_kms_alias.key.target_key_arn}"
        alias = stacks[region].document["data"]["aws_kms_alias"]["key"]
        assert alias["name"] == f"alias/trading-{region}-qa"


def test_terraform_undoes_neither_a_failover_nor_an_upgrade(stacks: dict[str, Stack]) -> None:
    for stack in stacks.values():
        ignored = cluster(stack)["lifecycle"]["ignore_changes"]
        assert {"replication_source_identifier", "engine_version"} <= set(ignored)


def test_the_primary_region_makes_the_keys_that_the_replicas_of_secrets_need(
    stacks: dict[str, Stack],
) -> None:
    keys = {
        key["provider"]: path
        for path, key in stacks[PRIMARY].resources("aws_kms_key").items()
        if path.startswith("encryption-")
    }
    assert set(keys) == {f"aws.{region}" for region in SECONDARIES}
    for region in SECONDARIES:
        key = stacks[PRIMARY].resources("aws_kms_key")[f"encryption-{region}/key"]
        use = statements(key["policy"])["UseThroughServicesOfAws"]
        assert use["Condition"]["StringLike"] == {"kms:ViaService": f"*.{region}.amazonaws.com"}
        assert key["lifecycle"] == {"prevent_destroy": True}
        alias = stacks[PRIMARY].resources("aws_kms_alias")[f"encryption-{region}/alias"]
        assert (alias["name"], alias["provider"]) == (
            f"alias/trading-{region}-qa",
            f"aws.{region}",
        )
        # The key of AWS Backup's copies alone.
        own = [path for path in stacks[region].resources("aws_kms_key") if "backup" not in path]
        assert own == []


@pytest.mark.parametrize("user", ["master", "trade_app"])
def test_secrets_live_in_the_primary_region_with_a_replica_in_each_other_one(
    stacks: dict[str, Stack], user: str
) -> None:
    name = f"{NAME}/database/{user}"
    (secret,) = [
        secret
        for secret in stacks[PRIMARY].resources("aws_secretsmanager_secret").values()
        if secret["name"] == name
    ]
    assert secret["replica"] == [
        {
            "region": region,
            "kms_key_id": stacks[PRIMARY].reference(
                "aws_kms_key", f"encryption-{region}/key", "arn"
            ),
        }
        for region in SECONDARIES
    ]
    for region in SECONDARIES:
        assert "aws_secretsmanager_secret" not in stacks[region].counts()
        found = stacks[region].document["data"]["aws_secretsmanager_secret"].values()
        assert name in {secret["name"] for secret in found}


def test_the_master_password_is_in_no_state_and_the_cluster_gets_what_the_secret_holds(
    stacks: dict[str, Stack],
) -> None:
    stack = stacks[PRIMARY]
    made = cluster(stack)
    assert "manage_master_user_password" not in made
    assert not {"master_password", "secret_string"} & set(made)
    version = stack.only("aws_secretsmanager_secret_version")
    assert "secret_string" not in version
    assert "random_password" in version["secret_string_wo"]
    read = stack.document["ephemeral"]["aws_secretsmanager_secret_version"]["master"]
    # Through the version: read after it is written.
    assert read["secret_id"] == stack.reference(
        "aws_secretsmanager_secret_version", "global-database/master-password", "secret_id"
    )
    assert "aws_secretsmanager_secret_version.master.secret_string" in made["master_password_wo"]
    assert stack.document["terraform"]["required_version"] == ">= 1.11.0"


def test_a_higher_number_sets_a_new_master_password_on_both_sides(
    tmp_path: Path, stacks: dict[str, Stack]
) -> None:
    text = f"{FILE.read_text()}\nmaster_password_version = 2\n"
    changed = synthesized(tmp_path, text, **WITH_PRIMARY)
    found = differences(stacks[PRIMARY], changed["trading-platform-useast1-qa"])
    assert found == {
        ("aws_rds_cluster", "database/cluster"): {"master_password_wo_version"},
        ("aws_secretsmanager_secret_version", "global-database/master-password"): {
            "secret_string_wo_version"
        },
    }


def test_each_region_publishes_the_endpoints_of_its_own_cluster_and_its_own_secrets(
    stacks: dict[str, Stack],
) -> None:
    published = {
        region: {
            path.split("/")[1]: parameter["value"]
            for path, parameter in stack.resources("aws_ssm_parameter").items()
        }
        for region, stack in stacks.items()
    }
    for region in REGIONS:
        endpoint = stacks[region].reference("aws_rds_cluster", "database/cluster", "endpoint")
        assert published[region]["DatabaseWriterEndpoint"] == endpoint
        assert published[region]["DatabaseName"] == "trading"
    for region in SECONDARIES:
        for secret in ("DatabaseMasterSecretArn", "DatabaseAppSecretArn"):
            assert published[region][secret].startswith("${data.aws_secretsmanager_secret.")


def test_a_region_that_is_synthesized_alone_stays_the_same(
    tmp_path: Path, stacks: dict[str, Stack]
) -> None:
    alone = synthesized(tmp_path, FILE.read_text(), ENVIRONMENT_SUFFIX="qa", REGIONS=SECONDARIES[0])
    assert differences(stacks[SECONDARIES[0]], alone["trading-platform-useast2-qa"]) == {}


def test_the_primary_region_goes_first_and_alone() -> None:
    environment = load_environment(
        {"ENVIRONMENT_FILE": str(FILE), "REGIONS": "us-west-2,us-east-1,us-east-2"}
    )
    waves = [[region.region for region in wave] for wave in environment.waves()]
    assert waves == [["us-east-1"], ["us-west-2", "us-east-2"]]
    independent = load_environment({"ENVIRONMENT_SUFFIX": "none", "REGIONS": ",".join(REGIONS)})
    assert [len(wave) for wave in independent.waves()] == [3]


def test_what_a_global_database_costs_on_top_is_estimated(stacks: dict[str, Stack]) -> None:
    found = estimate([stack.document for stack in stacks.values()], load_prices())
    assert not found.unpriced
    dollars: dict[str, list[tuple[str, float]]] = {}
    for item in found.items:
        dollars.setdefault(item.charge.what, []).append((item.region, item.dollars))
    # 2 million writes for each secondary cluster, and each of two secrets in two more regions.
    assert dollars["replicated writes"] == [(region, 0.40) for region in SECONDARIES]
    assert dollars["replica in another region"] == [(PRIMARY, 2 * 0.40)] * 2
    assert "master user's secret" not in dollars


def test_a_region_without_a_writer_is_no_alarm_but_a_silent_one_is(
    stacks: dict[str, Stack],
) -> None:
    for stack in stacks.values():
        alarms = {
            path: alarm
            for path, alarm in stack.resources("aws_cloudwatch_metric_alarm").items()
            if "DBClusterIdentifier" in alarm["dimensions"]
        }
        alive = alarms.pop("observability/alarm-cluster-cpu")
        assert set(alive["dimensions"]) == {"DBClusterIdentifier"}
        assert alive["treat_missing_data"] == "breaching"
        assert {alarm["treat_missing_data"] for alarm in alarms.values()} == {"notBreaching"}
        lag = alarms.pop("observability/alarm-cluster-global-lag")
        assert lag["metric_name"] == "AuroraGlobalDBReplicationLag"
        assert set(lag["dimensions"]) == {"DBClusterIdentifier"}
        assert lag["threshold"] == 5000
        assert {alarm["dimensions"]["Role"] for alarm in alarms.values()} == {"WRITER", "READER"}


# The actions of the requests by which Terraform's provider reads a resource in each plan. A type
# that is not here is one that nobody has thought of yet.
# https://github.com/hashicorp/terraform-provider-aws/tree/v5.100.0/internal/service
OF_TAGS = "ListTagsForResource"
READS: dict[str, tuple[str, ...]] = {
    "aws_backup_plan": ("backup:GetBackupPlan", "backup:ListTags"),
    "aws_backup_selection": ("backup:GetBackupSelection",),
    "aws_backup_vault": ("backup:DescribeBackupVault", "backup:ListTags"),
    "aws_caller_identity": (),  # nobody needs a right for it
    "aws_cloudwatch_dashboard": ("cloudwatch:GetDashboard",),
    "aws_cloudwatch_log_group": ("logs:DescribeLogGroups", f"logs:{OF_TAGS}"),
    "aws_cloudwatch_metric_alarm": ("cloudwatch:DescribeAlarms", f"cloudwatch:{OF_TAGS}"),
    "aws_db_parameter_group": (
        "rds:DescribeDBParameterGroups",
        "rds:DescribeDBParameters",
        f"rds:{OF_TAGS}",
    ),
    "aws_db_proxy": ("rds:DescribeDBProxies", f"rds:{OF_TAGS}"),
    "aws_db_proxy_default_target_group": ("rds:DescribeDBProxyTargetGroups",),
    "aws_db_proxy_endpoint": ("rds:DescribeDBProxyEndpoints", f"rds:{OF_TAGS}"),
    "aws_db_proxy_target": ("rds:DescribeDBProxyTargets",),
    "aws_db_subnet_group": ("rds:DescribeDBSubnetGroups", f"rds:{OF_TAGS}"),
    "aws_default_security_group": ("ec2:DescribeSecurityGroups",),
    "aws_eip": ("ec2:DescribeAddresses", "ec2:DescribeAddressesAttribute"),
    "aws_flow_log": ("ec2:DescribeFlowLogs",),
    "aws_iam_policy": ("iam:GetPolicy", "iam:GetPolicyVersion"),
    "aws_iam_role": (
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
    ),
    "aws_iam_role_policy": ("iam:GetRolePolicy",),
    "aws_iam_role_policy_attachment": ("iam:ListAttachedRolePolicies",),
    "aws_internet_gateway": ("ec2:DescribeInternetGateways",),
    "aws_kms_alias": ("kms:DescribeKey", "kms:ListAliases"),
    "aws_kms_key": (
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "kms:GetKeyRotationStatus",
        "kms:ListResourceTags",
    ),
    "aws_nat_gateway": ("ec2:DescribeNatGateways",),
    "aws_rds_cluster": ("rds:DescribeDBClusters", "rds:DescribeGlobalClusters", f"rds:{OF_TAGS}"),
    "aws_rds_cluster_instance": (
        "rds:DescribeDBClusters",
        "rds:DescribeDBInstances",
        f"rds:{OF_TAGS}",
    ),
    "aws_rds_cluster_parameter_group": (
        "rds:DescribeDBClusterParameterGroups",
        "rds:DescribeDBClusterParameters",
        f"rds:{OF_TAGS}",
    ),
    "aws_rds_global_cluster": ("rds:DescribeGlobalClusters", f"rds:{OF_TAGS}"),
    "aws_route": ("ec2:DescribeRouteTables",),
    "aws_route_table": ("ec2:DescribeRouteTables",),
    "aws_route_table_association": ("ec2:DescribeRouteTables",),
    "aws_s3_bucket": (
        "s3:GetAccelerateConfiguration",
        "s3:GetBucketAcl",
        "s3:GetBucketCORS",
        "s3:GetBucketLocation",
        "s3:GetBucketLogging",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketPolicy",
        "s3:GetBucketRequestPayment",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetBucketWebsite",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
    ),
    "aws_s3_bucket_lifecycle_configuration": ("s3:GetLifecycleConfiguration",),
    "aws_s3_bucket_logging": ("s3:GetBucketLogging",),
    "aws_s3_bucket_ownership_controls": ("s3:GetBucketOwnershipControls",),
    "aws_s3_bucket_policy": ("s3:GetBucketPolicy",),
    "aws_s3_bucket_public_access_block": ("s3:GetBucketPublicAccessBlock",),
    "aws_s3_bucket_server_side_encryption_configuration": ("s3:GetEncryptionConfiguration",),
    "aws_s3_bucket_versioning": ("s3:GetBucketVersioning",),
    "aws_secretsmanager_secret": (
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetResourcePolicy",
    ),
    "aws_security_group": ("ec2:DescribeSecurityGroups",),
    "aws_sns_topic": ("sns:GetTopicAttributes", f"sns:{OF_TAGS}"),
    "aws_sns_topic_policy": ("sns:GetTopicAttributes",),
    "aws_sns_topic_subscription": ("sns:GetSubscriptionAttributes",),
    "aws_ssm_parameter": ("ssm:DescribeParameters", "ssm:GetParameter", f"ssm:{OF_TAGS}"),
    "aws_subnet": ("ec2:DescribeSubnets",),
    "aws_vpc": (
        "ec2:DescribeNetworkAcls",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcAttribute",
        "ec2:DescribeVpcs",
    ),
    "aws_vpc_endpoint": ("ec2:DescribePrefixLists", "ec2:DescribeVpcEndpoints"),
    "aws_vpc_security_group_egress_rule": ("ec2:DescribeSecurityGroupRules",),
    "aws_vpc_security_group_ingress_rule": ("ec2:DescribeSecurityGroupRules",),
}
# A plan of a planner leaves them out: reading them is reading the password.
NOT_READ = {"aws_secretsmanager_secret_version"}
# What the planner's policy names one by one: the ARN, the type, and the argument with the name.
NAMED = {
    "iam:GetPolicy": ("iam::{account}:policy/{name}", "aws_iam_policy", "name"),
    "iam:GetPolicyVersion": ("iam::{account}:policy/{name}", "aws_iam_policy", "name"),
    "iam:": ("iam::{account}:role/{name}", "aws_iam_role", "name"),
    "s3:": ("s3:::{name}", "aws_s3_bucket", "bucket"),
    "sns:GetTopicAttributes": ("sns:{region}:{account}:{name}", "aws_sns_topic", "name"),
    f"sns:{OF_TAGS}": ("sns:{region}:{account}:{name}", "aws_sns_topic", "name"),
    "ssm:GetParameter": ("ssm:{region}:{account}:parameter{name}", "aws_ssm_parameter", "name"),
    f"ssm:{OF_TAGS}": ("ssm:{region}:{account}:parameter{name}", "aws_ssm_parameter", "name"),
}
ACCOUNT = "123456789012"


def arns(stack: Stack, region: str, action: str) -> list[str]:
    """The ARNs of the resources of a stack that an action is for."""
    named = NAMED.get(action) or NAMED.get(action.partition(":")[0] + ":")
    if named is None:
        return ["*"]
    form, type_, argument = named
    names = [
        re.sub(r"\$\{data\.aws_caller_identity[^}]*\}", ACCOUNT, body[argument])
        for body in stack.resources(type_).values()
    ]
    return ["arn:aws:" + form.format(region=region, account=ACCOUNT, name=name) for name in names]


@pytest.mark.parametrize("environment", ["global", "everything"])
@pytest.mark.parametrize("region", REGIONS)
def test_a_planner_may_read_each_resource_and_no_password(
    stacks: dict[str, Stack], environment: str, region: str
) -> None:
    stack = (stacks if environment == "global" else variant(environment))[region]
    policies = [planner(Place(ACCOUNT, region, "qa"))]
    types = {*stack.document["resource"], *stack.document["data"]}
    for type_ in types - NOT_READ:
        for action in READS[type_]:
            for arn in arns(stack, region, action):
                assert decision(Access(action, arn), policies) == "allowed", (type_, action, arn)
    for action in ("GetSecretValue", "BatchGetSecretValue", "GetRandomPassword"):
        assert decision(Access(f"secretsmanager:{action}", "*"), policies) == "implicitDeny"
