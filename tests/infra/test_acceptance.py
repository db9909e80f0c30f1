"""What AWS would refuse of a plan is named in the plan."""

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from certify.plans import plan_of
from infra.config.place import Place
from infra.gate.acceptance import refused
from infra.gate.calls import CALLS
from infra.gate.models import compiled, input_shape, refusals
from infra.gate.parameters import refused as parameter_refusals
from infra.gate.permissions import denied
from infra.gate.principals import lets_in
from infra.gate.quotas import exceeded, quotas, taken
from infra.gate.values import Rule, refused_by_model, refused_by_rules, rules
from infra.gate.verdict import judge
from infra.policies.evaluation import Access, decision
from infra.policies.infra_deployer import infra_deployer, infra_deployer_access
from infra.policies.statements import Document
from shared.naming import PLATFORM
from tests.support.synthesized import VARIANTS, variant

REGION, ENVIRONMENT = "us-east-1", "qa"


@pytest.mark.parametrize("profile", VARIANTS)
@pytest.mark.parametrize("actions", [("update",), ("delete",), ("delete", "create")])
def test_nothing_of_any_profile_is_refused(profile: str, actions: tuple[str, ...]) -> None:
    stack = variant(profile)[REGION]
    assert stack.counts().keys() <= CALLS.keys()
    assert list(refused(plan_of(stack.document, *actions), REGION, ENVIRONMENT)) == []


def test_every_operation_in_the_table_is_one_of_aws() -> None:
    for calls in CALLS.values():
        service, _, operation = calls.operation.partition(":")
        members = input_shape(service, operation).members  # type: ignore[union-attr]
        assert {name for name in (calls.names or {}).values() if name} <= members.keys()


def without(action: str) -> list[Callable[[Place], Document]]:
    """The deployer's policies with all that allows one action taken away."""
    lost = {"Sid": "Lost", "Effect": "Deny", "Action": action, "Resource": "*"}
    return [infra_deployer, infra_deployer_access, lambda _place: {"Statement": [lost]}]


@pytest.mark.parametrize(
    ("action", "resource", "profile"),
    [
        ("ec2:CreateNatGateway", "natgateway/1", "standard"),
        ("rds:CreateDBCluster", "cluster:trading-platform-useast1-qa", "dev"),
        ("kms:CreateGrant", "key/1", "dev"),
        ("iam:PassRole", "role/trading-platform-monitoring-useast1-qa", "standard"),
        ("backup:CreateBackupVault", "backup-vault:trading-platform-useast1-qa", "production"),
        ("iam:CreateServiceLinkedRole", "AWSServiceRoleForRDS", "dev"),
    ],
)
def test_a_permission_that_the_deployer_lacks_is_named_with_its_resource(
    action: str, resource: str, profile: str
) -> None:
    plan = plan_of(variant(profile)[REGION].document, "create")
    found = list(denied(plan, REGION, ENVIRONMENT, without(action)))
    assert found
    for _, text in found:
        assert text.startswith(f"infra-deployer may not {action} on arn:aws:")
        assert "run `make bootstrap-pipelines` first" in text
    assert any(f"{resource};" in text for _, text in found)


def test_a_refusal_is_an_obstacle_of_the_plan() -> None:
    plan = plan_of(variant("standard")[REGION].document, "create")
    lines = judge(plan, {}, denied(plan, REGION, ENVIRONMENT, without("ec2:*"))).lines()
    assert any(
        line.startswith("cannot work: aws_nat_gateway.") and "ec2:CreateNatGateway" in line
        for line in lines
    )


def change(type_: str, *actions: str, **values: Any) -> Mapping[str, Any]:
    """A plan of one resource without configuration, as nobody saved the rest of it."""
    sides = {"actions": list(actions), "before": values, "after": values}
    return {"resource_changes": [{"address": f"{type_}.it", "type": type_, "change": sides}]}


def test_a_plan_that_says_little_is_judged_by_what_it_says() -> None:
    assert list(refused(change("aws_new_thing", "create"), REGION, ENVIRONMENT)) == []
    assert list(refused(change("aws_kms_key", "forget"), REGION, ENVIRONMENT)) == []
    policy = change("aws_iam_role_policy", "create", role="foreign", name="x", policy="{}")
    ((_, text),) = refused(policy, REGION, ENVIRONMENT)
    assert text.startswith(
        "infra-deployer may not iam:PutRolePolicy, iam:GetRolePolicy on "
        "arn:aws:iam::000000000000:role/foreign;"
    )


def test_what_the_file_no_longer_has_is_judged_by_what_it_was() -> None:
    """A copy's alias goes with its key, in another region, and the configuration has neither."""
    tags = {"Project": PLATFORM}
    key = {"id": "k", "arn": "arn:aws:kms:us-west-2:0:key/k", "tags_all": tags}
    name = "alias/trading-copy-us-east-1-qa"
    alias = {"name": name, "arn": f"arn:aws:kms:us-west-2:0:{name}", "target_key_id": "k"}
    plan = {
        "resource_changes": [
            *change("aws_kms_alias", "delete", **alias)["resource_changes"],
            *change("aws_kms_key", "delete", **key)["resource_changes"],
        ]
    }
    assert list(refused(plan, REGION, ENVIRONMENT)) == []
    tags.clear()
    ((_, text), _) = refused(plan, REGION, ENVIRONMENT)
    assert text.startswith("infra-deployer may not kms:DeleteAlias on arn:aws:kms:us-west-2:")


def test_what_a_change_in_place_leaves_as_it_is_has_been_accepted() -> None:
    """Terraform's state has 0 for a number of an alarm that nobody has given."""
    plan = change("aws_cloudwatch_metric_alarm", "update", alarm_name="x", datapoints_to_alarm=0)
    assert "datapoints_to_alarm" not in str(list(refused(plan, REGION, ENVIRONMENT)))
    sides = plan["resource_changes"][0]["change"]
    sides["before"] = {**sides["before"], "datapoints_to_alarm": 3}
    assert "datapoints_to_alarm: 0 is less than 1" in str(list(refused(plan, REGION, ENVIRONMENT)))
    scaling = [{"max_capacity": 8, "seconds_until_auto_pause": 0}]
    cluster = {"cluster_identifier": "x", "serverlessv2_scaling_configuration": scaling}
    plan = change("aws_rds_cluster", "update", **cluster)
    assert "auto_pause" not in str(list(refused(plan, REGION, ENVIRONMENT)))
    plan["resource_changes"][0]["change"]["before"] = {}
    assert "seconds_until_auto_pause is 0" in str(list(refused(plan, REGION, ENVIRONMENT)))


def test_what_a_resource_without_a_known_name_refers_to_is_not_guessed() -> None:
    plan = {
        **change("aws_iam_role_policy", "create", name="x", policy="{}"),
        "configuration": {
            "root_module": {
                "resources": [
                    {
                        "address": "aws_iam_role_policy.it",
                        "expressions": {"role": {"references": ["aws_iam_role.new.id"]}},
                    }
                ]
            }
        },
    }
    ((_, text),) = refused(plan, REGION, ENVIRONMENT)
    assert "on arn:aws:iam::000000000000:role/1;" in text


def test_a_value_that_the_rule_book_knows_is_refused_with_what_to_do_and_the_source() -> None:
    values = {
        "backup_retention_period": 36,
        "enabled_cloudwatch_logs_exports": ["audit", "postgresql"],
        "serverlessv2_scaling_configuration": [{"min_capacity": 0.7, "max_capacity": 512}],
        "preferred_backup_window": None,
    }
    found = list(refused_by_rules("aws_rds_cluster", values, {}))
    assert [text.partition(" (")[0] for text in found] == [
        "backup_retention_period is 36: Aurora keeps backups for 1 to 35 days",
        "enabled_cloudwatch_logs_exports is ['audit', 'postgresql']: Aurora MySQL exports audit, "
        "error, general, instance, iam-db-auth-error and slowquery",
        "serverlessv2_scaling_configuration.min_capacity is 0.7: use steps of 0.5 capacity units",
        "serverlessv2_scaling_configuration.max_capacity is 512: the largest capacity is from 1 "
        "to 256 units",
    ]
    assert all("(https://docs.aws.amazon.com/" in text for text in found)


def test_a_rule_may_depend_on_another_value() -> None:
    def found(version: str, **capacity: float) -> list[str]:
        values = {"engine_version": version, "serverlessv2_scaling_configuration": [capacity]}
        return list(refused_by_rules("aws_rds_cluster", values, {}))

    (text,) = found("8.0.mysql_aurora.3.07.1", min_capacity=0)
    assert "a database pauses from version 8.0.mysql_aurora.3.08.0 on" in text
    assert found("8.0.mysql_aurora.3.07.1", min_capacity=0.5) == []
    assert found("8.0.mysql_aurora.3.08.0", min_capacity=0) == []


def test_a_rule_may_be_about_each_block_of_a_kind() -> None:
    resource = "aws_rds_cluster_parameter_group"
    static = {"name": "binlog_format", "value": "ROW", "apply_method": "immediate"}
    dynamic = {"name": "time_zone", "value": "UTC", "apply_method": "immediate"}

    def found(before: list[Any], after: list[Any]) -> list[str]:
        return list(refused_by_rules(resource, {"parameter": after}, {"parameter": before}))

    (text,) = found([], [dynamic, static])
    assert text.startswith("parameter.apply_method is 'immediate': the parameter is static")
    assert found([static], [dynamic, static]) == []
    assert found([], [dynamic, {**static, "apply_method": "pending-reboot"}]) == []


def test_every_rule_has_a_source_and_says_what_to_do() -> None:
    for rule in rules():
        assert rule.source.startswith(("https://docs.aws.amazon.com/", "https://dev.mysql.com/")), (
            rule
        )
        assert rule.advice, rule
        assert rule.resource in CALLS or rule.resource.startswith("AWS::"), rule


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"pattern": "a+"}, "aa", "b"),
        ({"never": "b"}, "aa", "b"),
        ({"least": 2}, 2, 1),
        ({"most": 2}, "2", 3),
        ({"least": 2}, "not a number", 1),
        ({"among": [1, 5]}, 5, 6),
        ({"length": 2}, "ab", "abc"),
        ({"pattern": "a"}, ["a"], ["a", "b"]),
    ],
)
def test_a_rule_compares_what_it_is_given(condition: Any, good: Any, bad: Any) -> None:
    rule = Rule("type", "attribute", "advice", "source", **condition)
    assert not rule.broken_by(good)
    assert rule.broken_by(bad)


@pytest.mark.parametrize(
    ("type_", "values", "text"),
    [
        ("aws_kms_key", {"description": "d" * 8193}, "8193 characters is more than 8192"),
        ("aws_eip", {"domain": "wpc"}, "'wpc' is none of vpc, standard"),
        ("aws_iam_role", {"name": "a b"}, "'a b' does not match"),
        ("aws_backup_vault", {"name": "a"}, "'a' does not match"),
        ("aws_sns_topic", {"name": 3}, "3 is not a string"),
    ],
)
def test_a_value_that_the_model_of_its_call_refuses_is_named(
    type_: str, values: Mapping[str, Any], text: str
) -> None:
    (found,) = refused_by_model(type_, values, {})
    assert text in found


def test_what_no_model_has_is_not_judged_by_one() -> None:
    assert list(refused_by_model("aws_new_thing", {"name": 3}, {})) == []
    assert list(refused_by_model("aws_eip", {"tags": {}, "domain": None, "unknown": 3}, {})) == []
    assert list(refused_by_model("aws_backup_plan", {"rule": [{"rule_name": "x"}]}, {})) == []


@pytest.mark.parametrize(
    ("call", "parameters", "found"),
    [
        ("sns:CreateTopic", {}, [("Name", "it is required")]),
        ("sns:CreateTopic", {"Name": "a", "Nmae": "b"}, [("Nmae", "there is no such parameter")]),
        (
            "sns:CreateTopic",
            {"Name": "a", "Attributes": {"x": 1}},
            [("Attributes['x']", "1 is not a string")],
        ),
        ("sns:CreateTopic", {"Name": "a", "Tags": "b"}, [("Tags", "'b' is not a list")]),
        ("sns:CreateTopic", {"Name": "a", "Tags": None}, []),
        (
            "kms:CreateKey",
            {"Tags": [{"TagKey": "", "TagValue": "b"}]},
            [("Tags[0].TagKey", "0 characters is less than 1")],
        ),
        ("kms:CreateKey", {"MultiRegion": "yes"}, [("MultiRegion", "'yes' is not a boolean")]),
        (
            "kms:ScheduleKeyDeletion",
            {"KeyId": "a", "PendingWindowInDays": True},
            [("PendingWindowInDays", "True is not a integer")],
        ),
        (
            "kms:ScheduleKeyDeletion",
            {"KeyId": "a", "PendingWindowInDays": 400},
            [("PendingWindowInDays", "400 is more than 365")],
        ),
        ("lambda:InvokeAsync", {"FunctionName": "f", "InvokeArgs": b"{}"}, []),
    ],
)
def test_parameters_are_judged_by_the_model(
    call: str, parameters: Mapping[str, Any], found: list[tuple[str, str]]
) -> None:
    service, _, operation = call.partition(":")
    shape = input_shape(service, operation)
    assert shape is not None
    assert list(refusals(shape, parameters)) == found


def test_there_is_no_shape_of_what_does_not_exist() -> None:
    with pytest.raises(LookupError, match="kms:CreateLock"):
        input_shape("kms", "CreateLock")
    with pytest.raises(LookupError, match="locks"):
        input_shape("locks", "CreateLock")
    assert input_shape("ec2", "DescribeVpcs") is not None
    assert compiled("") is None
    assert compiled(r"[\p{Unheard}") is None


CONDITION_CASES: list[tuple[str, str, Any, Any, bool]] = [
    ("StringEquals", "k", "a", "a", True),
    ("StringEquals", "k", "a", "b", False),
    ("StringEquals", "k", ["a", "b"], "b", True),
    ("StringEquals", "k", "a", None, False),
    ("StringEqualsIfExists", "k", "a", None, True),
    ("StringNotEquals", "k", "a", "b", True),
    ("StringNotEquals", "k", "a", None, True),
    ("StringNotEquals", "k", "a", "a", False),
    ("StringEqualsIgnoreCase", "k", "A", "a", True),
    ("StringLike", "k", "a?c*", "abcd", True),
    ("ArnLike", "k", "arn:*:x", "arn:aws:x", True),
    ("ArnNotLike", "k", "arn:*:x", "arn:aws:y", True),
    ("Bool", "k", "true", "True", True),
    ("Null", "k", "true", None, True),
    ("Null", "k", "false", None, False),
    ("ForAnyValue:StringEquals", "k", "a", ["a", "b"], True),
    ("ForAllValues:StringEquals", "k", "a", ["a", "b"], False),
    ("ForAllValues:StringEquals", "k", "a", None, True),
]


@pytest.mark.parametrize(("operator", "key", "expected", "given", "holds"), CONDITION_CASES)
def test_conditions_hold_as_iam_says(
    operator: str, key: str, expected: Any, given: Any, holds: bool
) -> None:
    document = {
        "Statement": {
            "Effect": "Allow",
            "Action": "s3:Get*",
            "Resource": "*",
            "Condition": {operator: {key: expected}},
        }
    }
    context = {} if given is None else {key.upper(): given}
    found = decision(Access("S3:GetObject", "arn:aws:s3:::a/b", context), [document])
    assert found == ("allowed" if holds else "implicitDeny")


def test_an_unknown_operator_is_an_error() -> None:
    document = {
        "Statement": [
            {
                "Effect": "Deny",
                "NotAction": "s3:*",
                "NotResource": "a",
                "Condition": {"Like": {"a": "b"}},
            }
        ]
    }
    with pytest.raises(ValueError, match="Like: there is no such condition operator"):
        decision(Access("ec2:Run", "b"), [document])
    assert decision(Access("s3:Get", "b"), [document]) == "implicitDeny"
    assert decision(Access("ec2:Run", "a"), [document]) == "implicitDeny"


def without_service(plan: Any, type_: str, service: str) -> Mapping[str, Any]:
    """A plan in which no policy of a type of resource names a service."""
    changed = copy.deepcopy(plan)
    for resource in changed["resource_changes"]:
        if resource["type"] != type_:
            continue
        after = resource["change"]["after"]
        for attribute in {"policy", "assume_role_policy"} & after.keys():
            document = json.loads(after[attribute])
            document["Statement"] = [
                statement
                for statement in document["Statement"]
                if service not in str(statement.get("Principal"))
            ]
            after[attribute] = json.dumps(document)
    return changed  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("type_", "service", "missing"),
    [
        (
            "aws_kms_key",
            "logs.us-east-1.amazonaws.com",
            "kms:Decrypt, kms:Encrypt, kms:GenerateDataKey, kms:DescribeKey",
        ),
        ("aws_kms_key", "cloudwatch.amazonaws.com", "kms:Decrypt, kms:GenerateDataKey"),
        ("aws_sns_topic_policy", "cloudwatch.amazonaws.com", "sns:Publish"),
        ("aws_s3_bucket_policy", "logging.s3.amazonaws.com", "s3:PutObject"),
    ],
)
def test_a_policy_that_does_not_let_a_service_in_is_named(
    type_: str, service: str, missing: str
) -> None:
    plan = without_service(
        plan_of(variant("everything")[REGION].document, "create"), type_, service
    )
    found = list(refused(plan, REGION, ENVIRONMENT))
    assert found
    for address, text in found:
        assert address.startswith(f"{type_}.")
        assert text.startswith(f"its policy does not let {service} {missing}, which ")
        assert "(https://docs.aws.amazon.com/" in text


def test_an_alarm_whose_name_the_topic_does_not_know_is_named() -> None:
    plan = plan_of(variant("dev")[REGION].document, "create")
    for resource in plan["resource_changes"]:
        if resource["type"] == "aws_cloudwatch_metric_alarm":
            resource["change"]["after"]["alarm_name"] = "payroll"
    found = [text for _, text in refused(plan, REGION, ENVIRONMENT) if "sns:Publish" in text]
    assert found
    assert {text.partition(" sns:")[0] for text in found} == {
        "its policy does not let cloudwatch.amazonaws.com"
    }


@pytest.mark.parametrize(
    "service",
    ["backup", "monitoring.rds", "rds", "vpc-flow-logs"],
)
def test_a_role_that_does_not_trust_the_service_it_is_passed_to_is_named(service: str) -> None:
    plan = plan_of(variant("everything")[REGION].document, "create")
    name = f"{service}.amazonaws.com"
    found = list(refused(without_service(plan, "aws_iam_role", f"'{name}'"), REGION, ENVIRONMENT))
    assert found
    for address, text in found:
        assert address.startswith("aws_iam_role.")
        assert text.startswith(f"it does not trust {name}, which ")


@pytest.mark.parametrize(
    ("principal", "lets"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"Service": ["sns.amazonaws.com", "logs.amazonaws.com"]}, True),
        ({"Service": "sns.amazonaws.com"}, False),
        ({"AWS": "arn:aws:iam::1:root"}, False),
        (None, False),
    ],
)
def test_a_service_is_let_in_by_its_name_or_as_everybody(principal: Any, lets: bool) -> None:
    statement = {"Effect": "Allow", "Action": "kms:*", "NotResource": "x", "Principal": principal}
    document = {"Statement": [statement]}
    assert lets_in(document, "logs.amazonaws.com", "kms:Decrypt", {}) == lets


def test_more_than_a_new_account_may_have_is_noted_with_the_quota() -> None:
    made = {"actions": ["create"], "after": {}}
    gone = {"actions": ["delete"], "before": {}, "after": None}
    addresses = [
        {"address": f"aws_eip.a{number}", "type": "aws_eip", "change": change}
        for number, change in enumerate([made] * 6 + [gone])
    ]
    (note,) = judge({"resource_changes": addresses}, {}).notes
    assert note.address == "aws_eip"
    assert "6 Elastic IP addresses, and a new account has 5 in a region" in note.text
    assert "L-0263D0A3" in note.text
    assert judge({"resource_changes": addresses[1:]}, {}).notes == ()


@pytest.mark.parametrize("profile", VARIANTS)
def test_a_new_account_has_room_for_each_profile(profile: str) -> None:
    for stack in variant(profile).values():
        plan = plan_of(stack.document, "create")
        assert {quota.resource for quota in taken(plan)} >= {"aws_vpc", "aws_rds_cluster"}
        assert list(exceeded(plan)) == []


def test_every_quota_has_a_code_and_a_source() -> None:
    assert len({quota.resource for quota in quotas()}) == len(quotas())
    for quota in quotas():
        assert quota.code.startswith("L-")
        assert quota.source.startswith("https://docs.aws.amazon.com/")


def test_the_parameters_of_a_call_are_judged_by_model_and_rule_book() -> None:
    scaling = {"MinCapacity": 0.7, "MaxCapacity": 512}
    parameters = {
        "DBClusterIdentifier": "a--b",
        "Engine": "aurora-mysql",
        "ServerlessV2ScalingConfiguration": scaling,
        "EnableCloudwatchLogsExports": ["audit", "binlog"],
    }
    found = dict(parameter_refusals("rds", "CreateDBCluster", parameters))
    assert "single hyphens" in found["DBClusterIdentifier"]
    assert "from 1 to 256" in found["serverlessv2scalingconfiguration.maxcapacity"]
    assert "steps of 0.5" in found["serverlessv2scalingconfiguration.mincapacity"]
    assert "'binlog'" in found["EnableCloudwatchLogsExports"]
    assert list(parameter_refusals("lambda", "GetAccountSettings", {})) == []
    assert list(parameter_refusals("lambda", "GetAlias", {"Name": "a"})) == [
        ("FunctionName", "it is required")
    ]
    # It has no parameters.
    assert list(parameter_refusals("iam", "GetAccountSummary", {})) == []
    group = {
        "DBParameterGroupName": "a",
        "Parameters": [
            {"ParameterName": "sql_mode", "ParameterValue": "ANSI", "ApplyMethod": "immediate"},
            {"ParameterName": "tls_version"},
        ],
    }
    ((member, reason),) = parameter_refusals("rds", "ModifyDBParameterGroup", group)
    assert member == "Parameters"
    assert reason.startswith("parameter.name is 'tls_version': the parameter is one of the whole")
    no_group = {"ServerlessV2ScalingConfiguration": "none"}
    assert "ServerlessV2ScalingConfiguration" in dict(
        parameter_refusals("rds", "CreateDBCluster", no_group)
    )
