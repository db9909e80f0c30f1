import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.bindings import App, TerraformStack
from infra.constructs.publication import Publication
from infra.main import main
from shared.contract import load_contract
from tests.infra.synthesized import Stack, synthesized

REGIONS = ("us-east-1", "us-east-2", "us-west-2")


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stack]:
    folder = tmp_path_factory.mktemp("three-regions")
    return synthesized(folder, ENVIRONMENT_SUFFIX="qa", REGIONS=",".join(REGIONS))


@pytest.fixture(params=["useast1", "useast2", "uswest2"])
def stack(request: pytest.FixtureRequest, stacks: dict[str, Stack]) -> Stack:
    return stacks[f"trading-platform-{request.param}-qa"]


def test_each_zone_has_one_public_and_one_private_subnet(stack: Stack) -> None:
    subnets = stack.resources("aws_subnet").values()
    zones = sorted(subnet["availability_zone"][-1] for subnet in subnets)
    assert zones == ["a", "a", "b", "b"]
    assert len({subnet["cidr_block"] for subnet in subnets}) == 4
    assert not any(subnet.get("map_public_ip_on_launch") for subnet in subnets)


def test_private_subnets_leave_through_the_one_nat_gateway_in_the_first_public_subnet(
    stack: Stack,
) -> None:
    nat = stack.only("aws_nat_gateway")
    (first_zone, *_) = sorted(
        path for path in stack.resources("aws_subnet") if "public-subnet" in path
    )
    assert nat["subnet_id"] == stack.reference("aws_subnet", first_zone, "id")
    routes = stack.resources("aws_route")
    private = [route for path, route in routes.items() if "private" in path]
    assert len(private) == 2
    assert len({route["nat_gateway_id"] for route in private}) == 1
    assert all("gateway_id" not in route for route in private)
    assert "gateway_id" in routes["network/public-default-route"]


def test_every_subnet_has_a_route_table(stack: Stack) -> None:
    associated = {
        association["subnet_id"]
        for association in stack.resources("aws_route_table_association").values()
    }
    assert associated == {
        stack.reference("aws_subnet", path, "id") for path in stack.resources("aws_subnet")
    }


def test_only_functions_reach_the_database_and_only_on_its_port(stack: Stack) -> None:
    ingress = stack.only("aws_vpc_security_group_ingress_rule")
    functions = stack.reference("aws_security_group", "network/lambda-security-group", "id")
    database = stack.reference("aws_security_group", "network/database-security-group", "id")
    assert ingress["security_group_id"] == database
    assert ingress["referenced_security_group_id"] == functions
    assert (ingress["ip_protocol"], ingress["from_port"], ingress["to_port"]) == ("tcp", 3306, 3306)
    egress = stack.resources("aws_vpc_security_group_egress_rule")
    assert {(rule["from_port"], rule["to_port"]) for rule in egress.values()} == {
        (3306, 3306),
        (443, 443),
    }
    assert all(rule["security_group_id"] == functions for rule in egress.values())


def test_the_default_security_group_allows_nothing(stack: Stack) -> None:
    group = stack.only("aws_default_security_group")
    assert not {"ingress", "egress"} & set(group)


def test_the_key_rotates_and_has_the_specified_alias(stacks: dict[str, Stack]) -> None:
    aliases = set()
    for stack in stacks.values():
        assert stack.only("aws_kms_key")["enable_key_rotation"] is True
        aliases.add(stack.only("aws_kms_alias")["name"])
    assert aliases == {f"alias/trading-{region}-qa" for region in REGIONS}


def test_every_bucket_is_private_and_encrypted_under_the_key(stack: Stack) -> None:
    key = stack.reference("aws_kms_key", "encryption/key", "arn")
    buckets = {
        stack.reference("aws_s3_bucket", path, "id") for path in stack.resources("aws_s3_bucket")
    }
    blocks = stack.resources("aws_s3_bucket_public_access_block").values()
    assert {block["bucket"] for block in blocks} == buckets
    for block in blocks:
        assert all(
            block[switch] is True
            for switch in (
                "block_public_acls",
                "block_public_policy",
                "ignore_public_acls",
                "restrict_public_buckets",
            )
        )
    encryptions = stack.resources("aws_s3_bucket_server_side_encryption_configuration").values()
    assert {encryption["bucket"] for encryption in encryptions} == buckets
    for encryption in encryptions:
        (rule,) = encryption["rule"]
        default = rule["apply_server_side_encryption_by_default"]
        assert default == {"sse_algorithm": "aws:kms", "kms_master_key_id": key}


def test_data_expires_after_90_days_and_deployment_packages_do_not(stack: Stack) -> None:
    lifecycles = stack.resources("aws_s3_bucket_lifecycle_configuration")
    (data,) = lifecycles["storage/lifecycle"]["rule"]
    (artifacts,) = lifecycles["artifacts/lifecycle"]["rule"]
    assert data["expiration"] == [{"days": 90}]
    assert "expiration" not in artifacts


def test_the_cluster_has_a_writer_and_two_readers_spread_over_the_zones(stack: Stack) -> None:
    instances = stack.resources("aws_rds_cluster_instance").values()
    assert len(instances) == 3
    assert {instance["instance_class"] for instance in instances} == {"db.r5.large"}
    assert len({instance["availability_zone"] for instance in instances}) == 2


def test_the_clusters_data_and_master_secret_are_encrypted_and_no_password_is_given(
    stack: Stack,
) -> None:
    cluster = stack.only("aws_rds_cluster")
    key = stack.reference("aws_kms_key", "encryption/key", "arn")
    assert cluster["engine"] == "aurora-mysql"
    assert cluster["storage_encrypted"] is True
    assert cluster["kms_key_id"] == key
    assert cluster["manage_master_user_password"] is True
    assert cluster["master_user_secret_kms_key_id"] == key
    assert "master_password" not in cluster
    assert stack.only("aws_secretsmanager_secret")["kms_key_id"] == key


def test_the_stack_publishes_exactly_the_contract(stack: Stack) -> None:
    contract = load_contract()
    published = {
        resource["name"]: (resource["type"], resource["description"])
        for resource in stack.resources("aws_ssm_parameter").values()
    }
    assert published == {
        contract.path(parameter, "qa"): (parameter.ssm_type, parameter.description)
        for parameter in contract.parameters
    }


def test_a_stack_that_does_not_keep_the_contract_cannot_be_synthesized() -> None:
    stack = TerraformStack(App(), "incomplete")
    with pytest.raises(ValueError, match="VpcId"):
        Publication(
            stack, "publication", contract=load_contract(), environment="qa", values={"Extra": "x"}
        )


def test_outputs_have_the_specified_names(stack: Stack) -> None:
    assert set(stack.document["output"]) >= {
        "vpc_id",
        "rds_cluster_endpoint",
        "rds_cluster_reader_endpoint",
        "s3_bucket_name",
        "kms_key_id",
    }


def test_both_provider_majors_may_serve(stack: Stack) -> None:
    provider = stack.document["terraform"]["required_providers"]["aws"]
    assert provider == {"source": "aws", "version": ">= 5.100.0, < 7.0.0"}


def test_state_is_kept_by_stack_in_the_state_folder(stacks: dict[str, Stack]) -> None:
    paths = {
        name: Path(stack.document["terraform"]["backend"]["local"]["path"])
        for name, stack in stacks.items()
    }
    assert {path.name for path in paths.values()} == {f"{name}.tfstate" for name in paths}
    assert all(path.is_absolute() for path in paths.values())


def test_regions_differ_in_nothing_but_their_names_and_addresses(stacks: dict[str, Stack]) -> None:
    counts = [
        {type_: len(found) for type_, found in stack.document["resource"].items()}
        for stack in stacks.values()
    ]
    assert counts[0] == counts[1] == counts[2]


def test_the_app_reads_the_process_environment(tmp_path: Path) -> None:
    main({"CDKTF_OUTDIR": str(tmp_path)})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert list(manifest["stacks"]) == ["trading-platform-useast1-dev"]


def test_lean_bindings_synthesize_what_the_whole_provider_package_does(tmp_path: Path) -> None:
    program = "import cdktf_cdktf_provider_aws\nfrom infra.main import main\nmain()"
    outputs = []
    for name, prelude in (("plain", program), ("lean", program.partition("\n")[2])):
        subprocess.run(
            [sys.executable, "-c", prelude],
            env={"PATH": os.environ["PATH"], "CDKTF_OUTDIR": str(tmp_path / name)},
            check=True,
        )
        stack = "stacks/trading-platform-useast1-dev/cdk.tf.json"
        outputs.append((tmp_path / name / stack).read_bytes())
    assert outputs[0] == outputs[1]
