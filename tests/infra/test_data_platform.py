"""What is synthesized: rules that hold for every region and profile, then what profiles change."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from infra.constructs.publication import Publication
from infra.gate.principals import lets_in
from infra.main import main
from infra.provider.bindings import App, TerraformStack
from shared.contract.loader import load_contract
from shared.naming import ENVIRONMENT_SUFFIX_MAX, REGION_CODES
from tests.support.synthesized import (
    EVERYTHING,
    REGIONS,
    VARIANTS,
    Stack,
    differences,
    statements,
    synthesized,
    variant,
)

KEY = ("aws_kms_key", "encryption/key", "arn")
ALL = [(name, region) for name in VARIANTS for region in REGIONS]


@pytest.fixture(params=ALL, ids=[f"{name}-{region}" for name, region in ALL])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Every variant in every region."""
    name, region = request.param
    return variant(name)[region]


@pytest.fixture(params=VARIANTS)
def name(request: pytest.FixtureRequest) -> str:
    parameter: str = request.param
    return parameter


def one(name: str) -> Stack:
    """A variant in one region: regions differ in names alone, as a test below shows."""
    return variant(name)["us-east-1"]


# Network


def test_each_zone_has_one_public_and_one_private_subnet(stack: Stack) -> None:
    subnets = stack.resources("aws_subnet").values()
    tiers = sorted(
        (subnet["availability_zone"], subnet["tags"]["Name"].split("-")[2]) for subnet in subnets
    )
    zones = {zone for zone, _ in tiers}
    assert tiers == sorted((zone, tier) for zone in zones for tier in ("private", "public"))
    assert len({subnet["cidr_block"] for subnet in subnets}) == len(tiers)
    assert not any(subnet.get("map_public_ip_on_launch") for subnet in subnets)


@pytest.mark.parametrize(
    ("name", "zones"), [("dev", 2), ("standard", 2), ("production", 2), ("everything", 3)]
)
def test_the_number_of_zones_is_configured(name: str, zones: int) -> None:
    assert one(name).counts()["aws_subnet"] == 2 * zones


def test_every_subnet_has_a_route_table(stack: Stack) -> None:
    associations = stack.resources("aws_route_table_association").values()
    assert {a["subnet_id"] for a in associations} == stack.references("aws_subnet", "id")


@pytest.mark.parametrize("name", ["dev", "standard"])
def test_private_subnets_leave_through_the_one_nat_gateway_in_the_first_public_subnet(
    name: str,
) -> None:
    stack = one(name)
    nat = stack.only("aws_nat_gateway")
    first = "network/public-subnet-us-east-1a"
    assert nat["subnet_id"] == stack.reference("aws_subnet", first, "id")
    routes = stack.resources("aws_route")
    private = [route for path, route in routes.items() if "private" in path]
    assert len(private) == 2
    assert len({route["nat_gateway_id"] for route in private}) == 1
    assert all("gateway_id" not in route for route in private)
    assert "gateway_id" in routes["network/public-default-route"]


def test_with_nat_per_zone_no_zone_needs_another_one() -> None:
    stack = one("production")
    for zone in ("us-east-1a", "us-east-1b"):
        nat = stack.resources("aws_nat_gateway")[f"network/nat-gateway-{zone}"]
        public = stack.reference("aws_subnet", f"network/public-subnet-{zone}", "id")
        assert nat["subnet_id"] == public
        route = stack.resources("aws_route")[f"network/private-default-route-{zone}"]
        assert route["nat_gateway_id"] == stack.reference(
            "aws_nat_gateway", f"network/nat-gateway-{zone}", "id"
        )


def test_without_nat_private_subnets_reach_the_services_of_aws_and_nothing_else() -> None:
    stack = one("everything")
    assert not {"aws_nat_gateway", "aws_eip"} & stack.counts().keys()
    assert set(stack.resources("aws_route")) == {"network/public-default-route"}
    group = stack.reference("aws_security_group", "network/endpoints-security-group", "id")
    private = {
        stack.reference("aws_subnet", path, "id")
        for path in stack.resources("aws_subnet")
        if "private" in path
    }
    endpoints = stack.resources("aws_vpc_endpoint")
    gateway = endpoints.pop("endpoints/s3")
    assert gateway["vpc_endpoint_type"] == "Gateway"
    assert {endpoint["service_name"].rpartition(".")[2] for endpoint in endpoints.values()} == {
        "kms",
        "logs",
        "secretsmanager",
        "ssm",
        "sts",
    }
    for endpoint in endpoints.values():
        assert endpoint["vpc_endpoint_type"] == "Interface"
        assert endpoint["private_dns_enabled"] is True
        assert set(endpoint["subnet_ids"]) == private
        assert endpoint["security_group_ids"] == [group]


def test_s3_is_reached_through_a_gateway_endpoint_from_every_private_subnet(stack: Stack) -> None:
    endpoint = stack.resources("aws_vpc_endpoint")["endpoints/s3"]
    assert set(endpoint["route_table_ids"]) == {
        stack.reference("aws_route_table", path, "id")
        for path in stack.resources("aws_route_table")
        if "private" in path
    }


def test_endpoints_carry_nothing_to_other_accounts(stack: Stack) -> None:
    account = "${data.aws_caller_identity.account.account_id}"
    for path, endpoint in stack.resources("aws_vpc_endpoint").items():
        found = statements(endpoint["policy"])
        if path == "endpoints/s3":
            answers = found.pop("AnswersToCloudFormation")
            assert answers["Action"] == "s3:PutObject"
            # All accounts share the bucket. An object's name begins with the stack that asked.
            bucket, _, name = answers["Resource"].partition("/")
            where = re.fullmatch(
                "arn:aws:s3:::cloudformation-custom-resource-response-(useast1|useast2|uswest2)",
                bucket,
            )
            assert where is not None
            region = {code: name for name, code in REGION_CODES.items()}[where[1]]
            assert name == f"arn:aws:cloudformation:{region}:{account}:stack/*"
        (statement,) = found.values()
        ((key, value),) = statement["Condition"]["StringEquals"].items()
        assert key in ("aws:ResourceAccount", "aws:PrincipalAccount")
        assert value == account


def allowed(stack: Stack) -> set[tuple[str, str, int]]:
    """Who may open connections to whom, on which port."""
    roles = {
        stack.reference("aws_security_group", path, "id"): path.split("/")[1].split("-")[0]
        for path in stack.resources("aws_security_group")
    }
    found = set()
    for rule in stack.resources("aws_vpc_security_group_egress_rule").values():
        assert rule["ip_protocol"] == "tcp"
        assert rule["from_port"] == rule["to_port"]
        target = rule.get("cidr_ipv4") or roles.get(rule.get("referenced_security_group_id"), "s3")
        found.add((roles[rule["security_group_id"]], target, rule["from_port"]))
    for rule in stack.resources("aws_vpc_security_group_ingress_rule").values():
        # Each way in is the other end of a way out.
        source = roles[rule["referenced_security_group_id"]]
        assert (source, roles[rule["security_group_id"]], rule["from_port"]) in found
        assert rule["from_port"] == rule["to_port"]
    return found


@pytest.mark.parametrize("name", ["dev", "standard", "production"])
def test_functions_reach_the_database_and_apis_and_only_functions_reach_the_database(
    name: str,
) -> None:
    assert allowed(one(name)) == {
        ("lambda", "database", 3306),
        ("lambda", "s3", 443),
        ("lambda", "0.0.0.0/0", 443),
    }


def test_with_a_proxy_and_endpoints_functions_reach_only_those() -> None:
    assert allowed(one("everything")) == {
        ("lambda", "proxy", 3306),
        ("proxy", "database", 3306),
        ("lambda", "endpoints", 443),
        ("lambda", "s3", 443),
    }


def test_the_default_security_group_allows_nothing(stack: Stack) -> None:
    group = stack.only("aws_default_security_group")
    assert not {"ingress", "egress"} & set(group)


def test_all_traffic_of_the_vpc_is_logged(stack: Stack) -> None:
    flow_log = stack.only("aws_flow_log")
    assert flow_log["traffic_type"] == "ALL"
    assert flow_log["vpc_id"] == stack.reference("aws_vpc", "network/vpc", "id")
    assert flow_log["log_destination"] == stack.reference(
        "aws_cloudwatch_log_group", "flow-logs/log-group", "arn"
    )


# Encryption


def test_the_key_rotates_and_has_the_specified_alias(name: str) -> None:
    for region, stack in variant(name).items():
        assert stack.resources("aws_kms_key")["encryption/key"]["enable_key_rotation"] is True
        alias = stack.resources("aws_kms_alias")["encryption/alias"]
        assert alias["name"] == f"alias/trading-{region}-qa"


def test_nobody_has_every_right_on_a_key_and_use_goes_through_services_of_aws(
    stack: Stack,
) -> None:
    for key in stack.resources("aws_kms_key").values():
        found = statements(key["policy"])
        for statement in found.values():
            assert statement["Principal"] != "*"
            assert "kms:*" not in statement["Action"]
        administration = found.pop("Administration")
        assert not {"kms:Decrypt", "kms:Encrypt", "kms:CreateGrant"} & set(administration["Action"])
        assert "StringLike" in found["UseThroughServicesOfAws"]["Condition"]
        assert all(statement["Condition"] for statement in found.values())


def test_logs_and_alarms_use_the_key_for_this_account_alone() -> None:
    for region, stack in variant("standard").items():
        found = statements(stack.only("aws_kms_key")["policy"])
        account = "${data.aws_caller_identity.account.account_id}"
        logs = found["LogGroups"]
        assert logs["Principal"] == {"Service": f"logs.{region}.amazonaws.com"}
        assert logs["Condition"]["ArnLike"] == {
            "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{region}:{account}:log-group:*"
        }
        alarms = found["AlarmsToEncryptedTopics"]
        assert alarms["Condition"]["StringEquals"] == {"aws:SourceAccount": account}


def test_everything_that_takes_a_key_has_that_of_the_environment(stack: Stack) -> None:
    key = stack.reference(*KEY)
    keys = {
        "aws_rds_cluster": ("kms_key_id", "master_user_secret_kms_key_id"),
        "aws_secretsmanager_secret": ("kms_key_id",),
        "aws_cloudwatch_log_group": ("kms_key_id",),
        "aws_sns_topic": ("kms_master_key_id",),
    }
    for type_, attributes in keys.items():
        assert stack.resources(type_), type_
        for path, resource in stack.resources(type_).items():
            assert {resource[attribute] for attribute in attributes} == {key}, path
    assert stack.only("aws_rds_cluster")["storage_encrypted"] is True
    for instance in stack.resources("aws_rds_cluster_instance").values():
        assert instance.get("performance_insights_kms_key_id", key) == key


# Storage


def test_every_bucket_is_closed_to_the_public_and_versioned(stack: Stack) -> None:
    buckets = stack.references("aws_s3_bucket", "id")
    for type_ in (
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_versioning",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_server_side_encryption_configuration",
        "aws_s3_bucket_lifecycle_configuration",
    ):
        assert {resource["bucket"] for resource in stack.resources(type_).values()} == buckets
    for block in stack.resources("aws_s3_bucket_public_access_block").values():
        assert all(
            block[switch] is True
            for switch in (
                "block_public_acls",
                "block_public_policy",
                "ignore_public_acls",
                "restrict_public_buckets",
            )
        )
    for controls in stack.resources("aws_s3_bucket_ownership_controls").values():
        assert controls["rule"] == {"object_ownership": "BucketOwnerEnforced"}
    for versioning in stack.resources("aws_s3_bucket_versioning").values():
        assert versioning["versioning_configuration"] == {"status": "Enabled"}


def test_buckets_are_encrypted_under_the_key_with_a_bucket_key(stack: Stack) -> None:
    key = stack.reference(*KEY)
    encryptions = stack.resources("aws_s3_bucket_server_side_encryption_configuration")
    # S3 delivers access logs to no bucket under another key than its own.
    logs = encryptions.pop("access-logs/encryption", None)
    assert (logs is not None) == ("access-logs/bucket" in stack.resources("aws_s3_bucket"))
    assert {path.split("/")[0] for path in encryptions} == {"storage", "artifacts"}
    for encryption in encryptions.values():
        (rule,) = encryption["rule"]
        assert rule["bucket_key_enabled"] is True
        assert rule["apply_server_side_encryption_by_default"] == {
            "sse_algorithm": "aws:kms",
            "kms_master_key_id": key,
        }


def test_buckets_refuse_plain_http_and_other_encryption(stack: Stack) -> None:
    key = stack.reference(*KEY)
    for path, policy in stack.resources("aws_s3_bucket_policy").items():
        bucket = stack.reference("aws_s3_bucket", path.replace("policy", "bucket"), "arn")
        found = statements(policy["policy"])
        http = found["DenyPlainHttp"]
        assert (http["Effect"], http["Principal"], http["Action"]) == ("Deny", "*", "s3:*")
        assert http["Resource"] == [bucket, f"{bucket}/*"]
        assert http["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        if path == "access-logs/policy":
            continue
        for sid, header, value in (
            ("DenyOtherEncryption", "s3:x-amz-server-side-encryption", "aws:kms"),
            ("DenyOtherKeys", "s3:x-amz-server-side-encryption-aws-kms-key-id", key),
        ):
            assert found[sid]["Effect"] == "Deny"
            assert found[sid]["Condition"] == {
                "Null": {header: "false"},
                "StringNotEquals": {header: value},
            }
        # KMS without a key's id would be AWS's own key.
        assert found["DenyUnnamedKey"]["Effect"] == "Deny"
        assert found["DenyUnnamedKey"]["Condition"] == {
            "Null": {
                "s3:x-amz-server-side-encryption": "false",
                "s3:x-amz-server-side-encryption-aws-kms-key-id": "true",
            }
        }


def test_data_expires_after_90_days_and_deployment_packages_do_not(stack: Stack) -> None:
    lifecycles = stack.resources("aws_s3_bucket_lifecycle_configuration")
    (data,) = lifecycles["storage/lifecycle"]["rule"]
    (artifacts,) = lifecycles["artifacts/lifecycle"]["rule"]
    assert data["expiration"] == [{"days": 90}]
    assert artifacts["expiration"] == [{"expired_object_delete_marker": True}]
    for rule in (data, artifacts):
        assert rule["noncurrent_version_expiration"] == [{"noncurrent_days": 30}]
        assert rule["abort_incomplete_multipart_upload"] == [{"days_after_initiation": 7}]


@pytest.mark.parametrize("name", ["production", "everything"])
def test_access_to_buckets_can_be_logged(name: str) -> None:
    stack = one(name)
    target = stack.reference("aws_s3_bucket", "access-logs/bucket", "id")
    logging = stack.resources("aws_s3_bucket_logging")
    assert set(logging) == {"storage/logging", "artifacts/logging"}
    assert {entry["target_bucket"] for entry in logging.values()} == {target}
    # S3 refuses a target whose policy does not let it deliver yet.
    allowed = stack.reference("aws_s3_bucket_policy", "access-logs/policy", "")[2:-2]
    assert [entry["depends_on"] for entry in logging.values()] == [[allowed], [allowed]]
    policy = stack.resources("aws_s3_bucket_policy")["access-logs/policy"]["policy"]
    delivery = statements(policy)["AccessLogs"]
    assert delivery["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert "aws:SourceAccount" in delivery["Condition"]["StringEquals"]


# Database


@pytest.mark.parametrize("name", ["standard", "production"])
def test_the_cluster_has_a_writer_and_two_readers_spread_over_the_zones(name: str) -> None:
    instances = one(name).resources("aws_rds_cluster_instance").values()
    assert len(instances) == 3
    assert {instance["instance_class"] for instance in instances} == {"db.r5.large"}
    assert len({instance["availability_zone"] for instance in instances}) == 2
    assert "serverlessv2_scaling_configuration" not in one(name).only("aws_rds_cluster")


def test_dev_has_one_serverless_instance_that_pauses() -> None:
    stack = one("dev")
    assert stack.only("aws_rds_cluster_instance")["instance_class"] == "db.serverless"
    assert stack.only("aws_rds_cluster")["serverlessv2_scaling_configuration"] == {
        "min_capacity": 0,
        "max_capacity": 4,
        "seconds_until_auto_pause": 300,
    }


def test_a_serverless_database_that_never_pauses_says_nothing_of_a_pause(tmp_path: Path) -> None:
    settings = 'profile = "dev"\n[database]\nmin_capacity = 0.5\n'
    (stack,) = synthesized(tmp_path, settings).values()
    scaling = stack.only("aws_rds_cluster")["serverlessv2_scaling_configuration"]
    assert scaling == {"min_capacity": 0.5, "max_capacity": 4}
    # It always runs: to hear nothing from it is an alarm.
    alarms = stack.resources("aws_cloudwatch_metric_alarm")
    assert alarms["observability/alarm-writer-cpu"]["treat_missing_data"] == "breaching"


def test_the_database_takes_tls_alone_and_speaks_utf8_and_utc(stack: Stack) -> None:
    group = stack.only("aws_rds_cluster_parameter_group")
    parameters = {p["name"]: p["value"] for p in group["parameter"]}
    assert group["family"] == "aurora-mysql8.0"
    assert parameters["require_secure_transport"] == "ON"
    assert parameters["character_set_server"] == "utf8mb4"
    assert parameters["time_zone"] == "UTC"
    assert stack.only("aws_rds_cluster")["db_cluster_parameter_group_name"] == stack.reference(
        "aws_rds_cluster_parameter_group", "database/parameter-group", "name"
    )


def test_instances_have_a_parameter_group_of_their_own_that_makes_sql_strict(
    stack: Stack,
) -> None:
    group = stack.only("aws_db_parameter_group")
    parameters = {p["name"]: p["value"] for p in group["parameter"]}
    assert group["family"] == "aurora-mysql8.0"
    assert "STRICT_TRANS_TABLES" in parameters["sql_mode"].split(",")
    # The slow query log is exported from files.
    assert parameters["log_output"] == "FILE"
    assert parameters["slow_query_log"] == "1"
    # The service's migrations create triggers, also if somebody turns the binary log on.
    assert parameters["log_bin_trust_function_creators"] == "1"
    name = stack.reference("aws_db_parameter_group", "database/instance-parameter-group", "name")
    instances = stack.resources("aws_rds_cluster_instance").values()
    assert {instance["db_parameter_group_name"] for instance in instances} == {name}


def test_rds_manages_the_master_secret_and_iam_can_authenticate(stack: Stack) -> None:
    cluster = stack.only("aws_rds_cluster")
    assert cluster["engine"] == "aurora-mysql"
    assert cluster["manage_master_user_password"] is True
    assert "master_password" not in cluster
    assert cluster["iam_database_authentication_enabled"] is True
    secret = stack.only("aws_secretsmanager_secret")
    assert secret["name"].endswith("/database/trade_app")
    assert "aws_secretsmanager_secret_version" not in stack.counts()


def test_exported_logs_go_to_encrypted_groups_with_a_retention(stack: Stack) -> None:
    cluster = stack.only("aws_rds_cluster")
    names = {group["name"] for group in stack.resources("aws_cloudwatch_log_group").values()}
    for log in cluster["enabled_cloudwatch_logs_exports"]:
        assert f"/aws/rds/cluster/{cluster['cluster_identifier']}/{log}" in names
    assert len(cluster["depends_on"]) == len(cluster["enabled_cloudwatch_logs_exports"]) == 3
    groups = stack.resources("aws_cloudwatch_log_group").values()
    assert all(group["retention_in_days"] > 0 for group in groups)


@pytest.mark.parametrize(
    ("name", "backups", "logs"),
    [("dev", 1, 7), ("standard", 7, 30), ("production", 35, 365)],
)
def test_backups_and_logs_are_kept_as_long_as_the_profile_says(
    name: str, backups: int, logs: int
) -> None:
    stack = one(name)
    cluster = stack.only("aws_rds_cluster")
    assert cluster["backup_retention_period"] == backups
    assert cluster["copy_tags_to_snapshot"] is True
    assert cluster["preferred_backup_window"] == "07:00-08:00"
    assert cluster["preferred_maintenance_window"] == "sun:08:30-sun:09:30"
    groups = stack.resources("aws_cloudwatch_log_group").values()
    assert {group["retention_in_days"] for group in groups} == {logs}


@pytest.mark.parametrize("name", VARIANTS)
def test_only_the_file_raises_the_engine_version(name: str) -> None:
    for stack in variant(name).values():
        assert stack.only("aws_rds_cluster")["engine_version"] == "8.0.mysql_aurora.3.10.6"
        for instance in stack.resources("aws_rds_cluster_instance").values():
            assert instance["auto_minor_version_upgrade"] is False


@pytest.mark.parametrize("name", ["standard", "production", "everything"])
def test_instances_are_watched_from_inside(name: str) -> None:
    stack = one(name)
    role = stack.reference("aws_iam_role", "database/monitoring-role", "arn")
    for instance in stack.resources("aws_rds_cluster_instance").values():
        assert instance["performance_insights_enabled"] is True
        assert instance["monitoring_interval"] == 60
        assert instance["monitoring_role_arn"] == role
        assert any("monitoring-rights" in dependency for dependency in instance["depends_on"])


def test_a_proxy_pools_no_more_than_the_services_share_and_takes_tls_alone() -> None:
    stack = one("everything")
    proxy = stack.only("aws_db_proxy")
    assert proxy["require_tls"] is True
    assert {auth["secret_arn"] for auth in proxy["auth"]} == {
        stack.reference("aws_secretsmanager_secret", "database/app-secret", "arn"),
        stack.master_secret(),
    }
    pool = stack.only("aws_db_proxy_default_target_group")["connection_pool_config"]
    assert pool["max_connections_percent"] == 80
    values = published(stack)
    assert values["DatabaseWriterEndpoint"] == stack.reference(
        "aws_db_proxy", "database-proxy/proxy", "endpoint"
    )
    assert values["DatabaseReaderEndpoint"] == stack.reference(
        "aws_db_proxy_endpoint", "database-proxy/reader-endpoint", "endpoint"
    )


def test_the_log_group_of_a_proxy_exists_before_the_proxy_and_is_encrypted() -> None:
    stack = one("everything")
    proxy = stack.only("aws_db_proxy")
    group = stack.resources("aws_cloudwatch_log_group")["database-proxy/log-group"]
    assert group["name"] == f"/aws/rds/proxy/{proxy['name']}"
    assert group["kms_key_id"] == stack.reference(*KEY)
    assert group["retention_in_days"]
    address = stack.reference("aws_cloudwatch_log_group", "database-proxy/log-group", "")[2:-2]
    assert address in proxy["depends_on"]


def test_without_readers_a_proxy_is_the_reader_endpoint_too(tmp_path: Path) -> None:
    (stack,) = synthesized(tmp_path, "[database]\nreaders = 0\nproxy = true\n").values()
    assert "aws_db_proxy_endpoint" not in stack.counts()
    values = published(stack)
    assert values["DatabaseReaderEndpoint"] == values["DatabaseWriterEndpoint"]


@pytest.mark.parametrize("name", ["production", "everything"])
def test_a_backup_plan_covers_the_cluster_and_copies_to_another_region(name: str) -> None:
    for region, stack in variant(name).items():
        cluster = stack.reference("aws_rds_cluster", "database/cluster", "arn")
        assert stack.only("aws_backup_selection")["resources"] == [cluster]
        (rule,) = stack.only("aws_backup_plan")["rule"]
        vaults = stack.resources("aws_backup_vault")
        (copy,) = rule["copy_action"]
        assert copy["destination_vault_arn"] == stack.reference(
            "aws_backup_vault", "backup/copy-vault", "arn"
        )
        assert copy["lifecycle"] == rule["lifecycle"]
        assert vaults["backup/vault"]["kms_key_arn"] == stack.reference(*KEY)
        # What is in the other region depends on nothing of this one.
        assert vaults["backup/copy-vault"]["provider"] == "aws.copy"
        assert vaults["backup/copy-vault"]["kms_key_arn"] == stack.reference(
            "aws_kms_key", "backup/copy-key", "arn"
        )
        providers = {p.get("alias"): p["region"] for p in stack.document["provider"]["aws"]}
        assert providers["copy"] != region


def test_a_destroy_deletes_the_vaults_before_the_rights_to_delete_what_they_hold() -> None:
    stack = one("production")
    rights = stack.reference("aws_iam_role_policy", "backup/rights", "")[2:-2]
    vaults = stack.resources("aws_backup_vault")
    assert [vault["depends_on"] for vault in vaults.values()] == [[rights], [rights]]
    names = {vault["name"] for vault in vaults.values()}
    document = stack.resources("aws_iam_role_policy")["backup/rights"]["policy"]
    (vault_arns,) = (
        statement["Resource"]
        for statement in statements(document).values()
        if "backup:CopyIntoBackupVault" in statement["Action"]
    )
    assert {arn.rpartition(":")[2] for arn in vault_arns} == names
    assert {arn.split(":")[3] for arn in vault_arns} == {"us-east-1", "us-west-2"}


@pytest.mark.parametrize(
    ("windows", "hour"),
    [
        ("", 10),
        ('backup_window = "10:15-10:50"\n', 12),
        ('maintenance_window = "mon:23:00-mon:23:45"\n', 1),
        ('maintenance_window = "mon:04:00-mon:05:00"\nbackup_window = "01:00-02:00"\n', 6),
    ],
)
def test_the_daily_backup_starts_after_both_windows(
    tmp_path: Path, windows: str, hour: int
) -> None:
    settings = f"[backup]\nplan = true\n[database]\n{windows}"
    (stack,) = synthesized(tmp_path, settings).values()
    (rule,) = stack.only("aws_backup_plan")["rule"]
    assert rule["schedule"] == f"cron(0 {hour} * * ? *)"


def test_backups_stay_in_the_region_unless_copies_are_asked_for(tmp_path: Path) -> None:
    (stack,) = synthesized(tmp_path, "[backup]\nplan = true\n").values()
    assert set(stack.resources("aws_backup_vault")) == {"backup/vault"}
    # A destroy leaves the final snapshot, and so it leaves what the vault holds.
    assert stack.only("aws_backup_vault")["force_destroy"] is False
    (rule,) = stack.only("aws_backup_plan")["rule"]
    assert not rule.get("copy_action")
    assert not [each for each in stack.all_resources().values() if "provider" in each]
    alarms = stack.resources("aws_cloudwatch_metric_alarm")
    assert "observability/alarm-backup-failed" in alarms
    assert not [alarm for alarm in alarms if "copy" in alarm]


def test_a_day_without_a_completed_backup_or_copy_is_an_alarm() -> None:
    alarms = one("production").resources("aws_cloudwatch_metric_alarm")
    for job in ("backup", "copy"):
        alarm = alarms[f"observability/alarm-{job}-missing"]
        assert alarm["metric_name"] == f"NumberOf{job.capitalize()}JobsCompleted"
        assert alarm["comparison_operator"] == "LessThanOrEqualToThreshold"
        assert alarm["threshold"] == 0
        # AWS Backup sends no data in an hour without a job.
        assert alarm["treat_missing_data"] == "breaching"
        hours = alarm["period"] * alarm["evaluation_periods"] / 3600
        assert 24 < hours < 48


# Observability

DATABASE_ALARMS = {"cpu", "connections", "memory"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "dev",
            {"writer-cpu", "writer-connections", "writer-memory", "writer-capacity"}
            | {"writer-deadlocks", "nat-ports-a"},
        ),
        (
            "standard",
            {f"{role}-{alarm}" for role in ("writer", "reader") for alarm in DATABASE_ALARMS}
            | {"writer-local-storage", "reader-local-storage", "writer-deadlocks", "reader-lag"}
            | {"nat-ports-a"},
        ),
        (
            "production",
            {f"{role}-{alarm}" for role in ("writer", "reader") for alarm in DATABASE_ALARMS}
            | {"writer-local-storage", "reader-local-storage", "writer-deadlocks", "reader-lag"}
            | {"nat-ports-a", "nat-ports-b", "backup-failed", "copy-failed"}
            | {"backup-missing", "copy-missing"},
        ),
    ],
)
def test_each_profile_has_exactly_these_alarms(name: str, expected: set[str]) -> None:
    alarms = one(name).resources("aws_cloudwatch_metric_alarm")
    assert {path.removeprefix("observability/alarm-") for path in alarms} == expected


def test_every_alarm_tells_the_topic_when_it_starts_and_when_it_ends(stack: Stack) -> None:
    topic = stack.reference("aws_sns_topic", "observability/topic", "arn")
    for alarm in stack.resources("aws_cloudwatch_metric_alarm").values():
        assert alarm["alarm_actions"] == [topic]
        assert alarm["ok_actions"] == [topic]
        assert alarm["alarm_description"]


def test_database_alarms_watch_a_role_and_not_an_instance(stack: Stack) -> None:
    cluster = stack.only("aws_rds_cluster")["cluster_identifier"]
    for path, alarm in stack.resources("aws_cloudwatch_metric_alarm").items():
        if alarm["namespace"] == "AWS/RDS":
            role = "WRITER" if "alarm-writer" in path else "READER"
            assert alarm["dimensions"] == {"DBClusterIdentifier": cluster, "Role": role}
            assert len(alarm["depends_on"]) == stack.counts()["aws_rds_cluster_instance"]


def missing(name: str) -> dict[str, str]:
    return {
        path.removeprefix("observability/alarm-"): alarm["treat_missing_data"]
        for path, alarm in one(name).resources("aws_cloudwatch_metric_alarm").items()
    }


def test_silence_is_an_alarm_once_and_never_where_it_means_that_all_is_well() -> None:
    standard = missing("production")
    assert {name for name, rule in standard.items() if rule == "breaching"} == {
        "writer-cpu",
        "reader-cpu",
        "backup-missing",
        "copy-missing",
    }
    # Counters of errors that do not occur.
    assert {name for name, rule in standard.items() if rule == "notBreaching"} == {
        "writer-deadlocks",
        "nat-ports-a",
        "nat-ports-b",
        "backup-failed",
        "copy-failed",
    }
    # A paused database has no data.
    assert set(missing("dev").values()) == {"notBreaching"}


def test_thresholds_follow_the_size_of_the_database() -> None:
    alarms = one("standard").resources("aws_cloudwatch_metric_alarm")
    connections = alarms["observability/alarm-writer-connections"]
    assert connections["threshold"] == 900
    memory = alarms["observability/alarm-writer-memory"]
    assert memory["comparison_operator"] == "LessThanOrEqualToThreshold"
    assert 0.7 < memory["threshold"] / 1024**3 < 0.9  # of 16 GiB
    assert one("dev").resources("aws_cloudwatch_metric_alarm")[
        "observability/alarm-writer-connections"
    ]["threshold"] == pytest.approx(121)


@pytest.mark.parametrize(
    ("alarm", "publishes"),
    [
        ("trading-platform-writer-cpu-useast1-qa", True),
        ("trading-platform-service-useast1-qa-TradeErrorsAlarm-1", True),
        ("payroll", False),
        ("trading-platform-writer-cpu-useast1-qa2", False),
        ("trading-platform-service-useast1-qa-2-TradeErrorsAlarm-1", False),
        ("trading-platform-service-useast1-qa--pr-42-TradeErrorsAlarm-1", False),
    ],
)
def test_only_alarms_of_the_environment_publish_to_its_topic(
    name: str, alarm: str, publishes: bool
) -> None:
    account = re.compile(r"\$\{data\.aws_caller_identity[^}]*\}")
    text = account.sub("1" * 12, one(name).only("aws_sns_topic_policy")["policy"])
    context = {
        "aws:SourceAccount": "1" * 12,
        "aws:SourceArn": f"arn:aws:cloudwatch:us-east-1:{'1' * 12}:alarm:{alarm}",
        "aws:SecureTransport": "true",
    }

    def lets(service: str, **more: str) -> bool:
        return lets_in(json.loads(text), service, "sns:Publish", {**context, **more})

    assert lets("cloudwatch.amazonaws.com") == publishes
    assert not lets("cloudwatch.amazonaws.com", **{"aws:SourceAccount": "2" * 12})
    assert not lets("cloudwatch.amazonaws.com", **{"aws:SecureTransport": "false"})
    assert not lets("events.amazonaws.com")


def test_an_email_address_is_subscribed_if_there_is_one(name: str) -> None:
    subscriptions = one(name).resources("aws_sns_topic_subscription")
    addresses = {s["endpoint"] for s in subscriptions.values()}
    assert addresses == ({"ops@example.com"} if name == "everything" else set())


def test_the_dashboard_shows_every_alarm_and_the_database(stack: Stack) -> None:
    body = json.loads(stack.only("aws_cloudwatch_dashboard")["dashboard_body"])
    alarms, *charts = body["widgets"]
    assert set(alarms["properties"]["alarms"]) == stack.references(
        "aws_cloudwatch_metric_alarm", "arn"
    )
    cluster = stack.only("aws_rds_cluster")["cluster_identifier"]
    assert len(charts) >= 6
    places = {(chart["x"], chart["y"]) for chart in charts}
    assert len(places) == len(charts)
    for chart in charts:
        assert all(cluster in metric for metric in chart["properties"]["metrics"])


# Least privilege


def test_every_role_is_for_one_service_and_names_its_actions_and_resources(stack: Stack) -> None:
    for path, role in stack.resources("aws_iam_role").items():
        (trust,) = statements(role["assume_role_policy"]).values()
        assert set(trust["Principal"]) == {"Service"}, path
    for path, policy in stack.resources("aws_iam_role_policy").items():
        for statement in statements(policy["policy"]).values():
            actions = statement["Action"]
            actions = [actions] if isinstance(actions, str) else actions
            assert not [a for a in actions if a.endswith(":*")], path
            # What AWS offers no resource for is described, never changed.
            if statement["Resource"] == "*":
                assert all(":Describe" in action for action in actions), path


# Protection


@pytest.mark.parametrize("name", ["dev", "standard"])
def test_all_of_it_can_be_destroyed_in_one_go(name: str) -> None:
    stack = one(name)
    for key, resource in stack.all_resources().items():
        assert not resource.get("lifecycle", {}).get("prevent_destroy"), key
    for bucket in stack.resources("aws_s3_bucket").values():
        assert bucket["force_destroy"] is True
    cluster = stack.only("aws_rds_cluster")
    assert cluster["deletion_protection"] is False
    # The cheapest profile alone leaves nothing.
    assert cluster["skip_final_snapshot"] is (name == "dev")
    assert cluster["delete_automated_backups"] is (name == "dev")
    assert stack.only("aws_secretsmanager_secret")["recovery_window_in_days"] == 0
    assert stack.only("aws_kms_key")["deletion_window_in_days"] == 7


def test_productions_data_is_destroyed_neither_by_terraform_nor_by_aws() -> None:
    stack = one("production")
    protected = {
        f"{type_} {path}"
        for (type_, path), resource in stack.all_resources().items()
        if resource.get("lifecycle", {}).get("prevent_destroy")
    }
    assert protected == {
        "aws_rds_cluster database/cluster",
        "aws_secretsmanager_secret database/app-secret",
        "aws_kms_key encryption/key",
        "aws_kms_key backup/copy-key",
        "aws_s3_bucket storage/bucket",
        "aws_s3_bucket access-logs/bucket",
        "aws_backup_vault backup/vault",
        "aws_backup_vault backup/copy-vault",
    }
    cluster = stack.only("aws_rds_cluster")
    assert cluster["deletion_protection"] is True
    assert cluster["skip_final_snapshot"] is False
    assert cluster["delete_automated_backups"] is False
    assert stack.resources("aws_s3_bucket")["storage/bucket"]["force_destroy"] is False
    assert stack.only("aws_secretsmanager_secret")["recovery_window_in_days"] == 30
    assert stack.resources("aws_kms_key")["encryption/key"]["deletion_window_in_days"] == 30


def test_a_destroy_that_leaves_a_snapshot_empties_no_vault(tmp_path: Path) -> None:
    lifted = 'profile = "production"\n[protection]\nprevent_destroy = false\n'
    (stack,) = synthesized(tmp_path, lifted).values()
    vaults = stack.resources("aws_backup_vault").values()
    assert [vault["force_destroy"] for vault in vaults] == [False, False]


def test_a_final_snapshot_has_a_name_of_its_own_that_no_plan_changes(stack: Stack) -> None:
    cluster = stack.only("aws_rds_cluster")
    assert "timestamp()" in cluster["final_snapshot_identifier"]
    assert cluster["lifecycle"]["ignore_changes"] == ["final_snapshot_identifier"]


# Publication


def published(stack: Stack) -> dict[str, Any]:
    return {
        path.removeprefix("publication/"): resource["value"]
        for path, resource in stack.resources("aws_ssm_parameter").items()
    }


def test_the_stack_publishes_exactly_the_contract(stack: Stack) -> None:
    contract = load_contract()
    found = {
        resource["name"]: (resource["type"], resource["description"])
        for resource in stack.resources("aws_ssm_parameter").values()
    }
    assert found == {
        contract.version_path("qa"): (
            "String",
            "The version of shared/contract.toml that is published here.",
        ),
        **{
            contract.path(parameter, "qa"): (parameter.ssm_type, parameter.description)
            for parameter in contract.parameters
        },
    }


def test_each_published_value_has_its_checksum_beside_it() -> None:
    """So that a value that somebody edits by hand is told from one that is published."""
    parameters = one("production").resources("aws_ssm_parameter")
    tags = {path: resource.get("tags") for path, resource in parameters.items()}
    assert tags.pop("publication/contract-version") is None
    assert tags == {
        path: {"Checksum": f"${{sha256({expression(parameters[path]['value'])})}}"} for path in tags
    }


def expression(value: str) -> str:
    """A value of Terraform's JSON as an argument of a function."""
    reference = re.fullmatch(r"\$\{([^}]*)\}", value)
    return reference[1] if reference else json.dumps(value)


def test_the_version_is_published_once_all_its_values_are(stack: Stack) -> None:
    contract = load_contract()
    version = stack.resources("aws_ssm_parameter")["publication/contract-version"]
    assert version["value"] == str(contract.version)
    assert len(version["depends_on"]) == len(contract.parameters)


def test_a_further_major_version_can_be_published_beside_the_first() -> None:
    stack = TerraformStack(App(), "both")
    first = load_contract()
    second = dataclasses.replace(first, version=Version("2.0.0"), parameters=first.parameters[:1])
    for id_, contract in (("publication", first), ("publication-v2", second)):
        values = dict.fromkeys(contract.by_logical_name, "x")
        Publication(stack, id_, contract=contract, environment="qa", values=values)
    names = {
        resource["name"]
        for resource in stack.to_terraform()["resource"]["aws_ssm_parameter"].values()
    }
    assert len(names) == len(first.parameters) + 1 + 2
    assert {
        "/trading-platform/qa/v1/contract-version",
        "/trading-platform/qa/v1/vpc/id",
        "/trading-platform/qa/v2/contract-version",
        "/trading-platform/qa/v2/vpc/id",
    } <= names


def test_a_stack_that_does_not_keep_the_contract_cannot_be_synthesized() -> None:
    stack = TerraformStack(App(), "incomplete")
    with pytest.raises(ValueError, match="VpcId"):
        Publication(
            stack, "publication", contract=load_contract(), environment="qa", values={"Extra": "x"}
        )


def test_outputs_have_the_specified_names_and_the_contracts(stack: Stack) -> None:
    outputs = {name: output["value"] for name, output in stack.document["output"].items()}
    assert set(outputs) >= {
        "vpc_id",
        "rds_cluster_endpoint",
        "rds_cluster_reader_endpoint",
        "s3_bucket_name",
        "kms_key_id",
        "service_deployer_policy_arn",
    }
    values = published(stack)
    assert outputs["vpc_id"] == values["VpcId"]
    assert outputs["database_connection_budget"] == values["DatabaseConnectionBudget"]
    assert outputs["s3_bucket_name"] == values["DataBucketName"]
    # All but the version, and the five that have names of their own.
    assert len(outputs) == len(values) - 1 + 5


@pytest.mark.parametrize(
    ("name", "budget"), [("dev", 54), ("standard", 400), ("production", 400), ("everything", 800)]
)
def test_the_connection_budget_is_published(name: str, budget: int) -> None:
    assert published(one(name))["DatabaseConnectionBudget"] == str(budget)


# The stack as a whole


def test_both_provider_majors_may_serve(stack: Stack) -> None:
    provider = stack.document["terraform"]["required_providers"]["aws"]
    assert provider == {"source": "aws", "version": ">= 5.100.0, < 7.0.0"}


def test_no_argument_is_used_that_only_provider_6_has(stack: Stack) -> None:
    newer = {
        "aws_db_proxy": {"default_auth_scheme"},
        "aws_cloudwatch_log_group": {"deletion_protection_enabled"},
        "aws_backup_plan": {"scan_setting"},
        "aws_nat_gateway": {"availability_mode", "vpc_id"},
        "aws_s3_bucket_public_access_block": {"skip_destroy"},
    }
    for (type_, path), resource in stack.all_resources().items():
        assert not (newer.get(type_, set()) | {"region"}) & set(resource), path


def test_local_state_is_kept_by_stack_in_the_state_folder(tmp_path: Path) -> None:
    stacks = synthesized(
        tmp_path, STATE="local", STATE_DIR=str(tmp_path / "kept"), REGIONS=",".join(REGIONS)
    )
    backends = [stack.document["terraform"]["backend"] for stack in stacks.values()]
    assert [backend["local"]["path"] for backend in backends] == [
        str(tmp_path / "kept" / f"{name}.tfstate") for name in stacks
    ]


def test_regions_differ_in_nothing_but_their_names_and_addresses(name: str) -> None:
    def neutral(region: str) -> Any:
        text = json.dumps(variant(name)[region].document["resource"], sort_keys=True)
        text = re.sub(r"10\.\d0\.", "10.N.", text)
        # CDKTF ends an id with a hash of the path, in which the zone's name stands.
        text = re.sub(r"_[0-9A-F]{8}\b", "", text)
        text = text.replace(region, "REGION").replace(REGION_CODES[region], "CODE")
        named = r"in |(?<=\*\.)|(?<=aws\.)|(?<=aws:backup:)"
        return re.sub(rf"(?:{named})us-[a-z]+-\d", "OTHER", text)

    first, second, third = (neutral(region) for region in REGIONS)
    assert first == second == third


def test_dev_differs_from_standard_in_exactly_these_resources() -> None:
    found = differences(one("dev"), one("standard"))
    changed = {key: attributes for key, attributes in found.items() if len(attributes) <= 4}
    assert changed[("aws_rds_cluster", "database/cluster")] == {
        "backup_retention_period",
        "delete_automated_backups",
        "serverlessv2_scaling_configuration",
        "skip_final_snapshot",
    }
    types = {type_ for type_, _ in found}
    assert types == {
        "aws_cloudwatch_dashboard",
        "aws_cloudwatch_log_group",
        "aws_cloudwatch_metric_alarm",
        "aws_iam_role",
        "aws_iam_role_policy_attachment",
        "aws_rds_cluster",
        "aws_rds_cluster_instance",
        "aws_ssm_parameter",
    }
    assert {path for type_, path in found if type_ == "aws_ssm_parameter"} == {
        "publication/DatabaseConnectionBudget"
    }


@pytest.mark.parametrize(
    ("change", "added"),
    [
        ('[network]\nzones = ["a", "b", "c"]', {"us-east-1c"}),
        ("[database]\nreaders = 4", {"instance-4", "instance-5"}),
        ('[network]\nnat = "per-az"', {"us-east-1b", "nat-ports-b"}),
    ],
)
def test_growth_only_adds_addresses(tmp_path: Path, change: str, added: set[str]) -> None:
    (before,) = synthesized(tmp_path / "before", "").values()
    (after,) = synthesized(tmp_path / "after", change).values()
    assert before.addresses() < after.addresses()
    for address in after.addresses() - before.addresses():
        assert any(part in address for part in added), address


def test_a_further_region_changes_nothing_in_the_others(tmp_path: Path) -> None:
    (alone,) = synthesized(tmp_path, "", ENVIRONMENT_SUFFIX="qa").values()
    assert alone.document["resource"] == variant("standard")["us-east-1"].document["resource"]


# The longest names that AWS takes, by the attribute that holds one.
LIMITS = {
    ("aws_backup_plan", "name"): 50,
    ("aws_backup_selection", "name"): 50,
    ("aws_backup_vault", "name"): 50,
    ("aws_cloudwatch_dashboard", "dashboard_name"): 255,
    ("aws_cloudwatch_log_group", "name"): 512,
    ("aws_cloudwatch_metric_alarm", "alarm_name"): 255,
    ("aws_db_parameter_group", "name"): 255,
    ("aws_db_proxy", "name"): 60,
    ("aws_db_proxy_endpoint", "db_proxy_endpoint_name"): 63,
    ("aws_db_subnet_group", "name"): 255,
    ("aws_iam_policy", "name"): 128,
    ("aws_iam_role", "name"): 64,
    ("aws_iam_role_policy", "name"): 128,
    ("aws_kms_alias", "name"): 256,
    ("aws_rds_cluster", "cluster_identifier"): 63,
    ("aws_rds_cluster_instance", "identifier"): 63,
    ("aws_rds_cluster_parameter_group", "name"): 255,
    ("aws_s3_bucket", "bucket"): 63,
    ("aws_secretsmanager_secret", "name"): 512,
    ("aws_security_group", "name"): 255,
    ("aws_sns_topic", "name"): 256,
    ("aws_ssm_parameter", "name"): 1011,
}


def test_every_name_fits_with_the_longest_suffix(tmp_path: Path) -> None:
    suffix = "x" * ENVIRONMENT_SUFFIX_MAX
    stacks = synthesized(
        tmp_path, EVERYTHING.read_text(), ENVIRONMENT_SUFFIX=suffix, REGIONS=",".join(REGIONS)
    )
    checked = set()
    for stack in stacks.values():
        for (type_, path), resource in stack.all_resources().items():
            for attribute in ("name", "bucket", "identifier", "alarm_name", "cluster_identifier"):
                value = resource.get(attribute, "").replace(
                    "${data.aws_caller_identity.account.account_id}", "0" * 12
                )
                if suffix in value:
                    assert len(value) <= LIMITS[type_, attribute], (path, value)
                    checked.add(type_)
    assert {"aws_backup_vault", "aws_iam_role", "aws_s3_bucket", "aws_db_proxy"} <= checked


def test_the_app_reads_the_process_environment(tmp_path: Path) -> None:
    main({"CDKTF_OUTDIR": str(tmp_path)})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert list(manifest["stacks"]) == [
        "trading-platform-state-useast1",
        "trading-platform-useast1-dev",
    ]
