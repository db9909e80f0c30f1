"""What a deploy creates from the template: roles, alarms, releases and access."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from service.deploy.build import TEMPLATE, release_digest
from service.deploy.parameters import release_parameters
from shared.contract.template import declared_parameters
from shared.naming import (
    ENVIRONMENT_SUFFIX_MAX,
    SERVICE_STAGE_MAX,
    failure_queue,
    service_stack_name,
)
from tests.support.transformed import Stack, stack
from trading.telemetry import ARCHIVE_HEARTBEAT

FUNCTIONS = {
    "TradeFunction",
    "MigrationFunction",
    "SmokeCheckFunction",
    "ArchiveFunction",
    "DocumentationFunction",
}
APP_SECRET, MASTER_SECRET = {"Ref": "DatabaseAppSecretArn"}, {"Ref": "DatabaseMasterSecretArn"}


def operations(made: Stack) -> dict[tuple[str, str], dict[str, Any]]:
    """The API's operations, those of conditional functions included."""
    found = {}
    for path, item in made.properties("TradeApi")["Body"]["paths"].items():
        methods = item["Fn::If"][1] if "Fn::If" in item else item
        for method, operation in methods.items():
            found[path, method] = operation["Fn::If"][1] if "Fn::If" in operation else operation
    return found


def test_a_changed_value_alone_makes_a_new_version_and_leads_the_alias_to_it() -> None:
    first, second = stack(ReleaseDigest="a" * 64), stack(ReleaseDigest="b" * 64)
    for function in ("TradeFunction", "MigrationFunction"):
        assert first.version(function) != second.version(function)
        # Lambda makes no version of code and settings that it has one of: the digest is a setting.
        assert "b" * 64 in second.properties(function)["Description"]
    assert first.version("TradeFunction") == stack(ReleaseDigest="a" * 64).version("TradeFunction")


def test_the_api_calls_the_alias_and_never_the_newest_code() -> None:
    for (path, _), operation in operations(stack()).items():
        uri = json.dumps(operation["x-amazon-apigateway-integration"]["uri"])
        alias = (
            "DocumentationFunction.Arn" if path.startswith("/docs") else "TradeFunctionAliaslive"
        )
        assert f"${{{alias}}}/invocations" in uri


def test_every_operation_requires_a_signature_by_default() -> None:
    for operation in operations(stack()).values():
        assert operation["security"] == [{"AWS_IAM": []}]
        # The function is called in API Gateway's name: callers need no right to call it.
        assert "credentials" not in operation["x-amazon-apigateway-integration"]
    definition = stack().properties("TradeApi")["Body"]["securityDefinitions"]
    assert definition["AWS_IAM"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    for operation in operations(stack(ApiAuthorization="NONE")).values():
        assert "security" not in operation


@pytest.mark.parametrize("parameters", [{}, {"ServiceStage": "pr-42"}])
def test_the_api_has_one_stage_and_no_unguarded_second_one(parameters: dict[str, str]) -> None:
    made = stack(**parameters)
    (deployment,) = made.of_type("AWS::ApiGateway::Deployment").values()
    assert "StageName" not in deployment["Properties"]
    assert len(made.of_type("AWS::ApiGateway::Stage")) == 1


def released(parameters: dict[str, str]) -> Stack:
    """The stack of a release, with the digest that the release tool computes."""
    given = release_parameters(parameters, "qa", "", production=False)
    return stack(**given, ReleaseDigest=release_digest("build", given))


# Those that say which copy this is are left out: another copy has an API of its own.
CHOSEN = sorted(
    release_parameters({}, "qa", "", production=False).keys()
    - {"EnvironmentSuffix", "ServiceStage"}
)


@pytest.mark.parametrize("parameter", CHOSEN)
def test_a_deployment_shows_callers_what_any_parameter_changes(parameter: str) -> None:
    declaration = declared_parameters(TEMPLATE)[parameter]
    usual = release_parameters({}, "qa", "", production=False)[parameter]
    other = next((str(v) for v in declaration.get("AllowedValues", []) if str(v) != usual), "7")
    before, after = released({}), released({parameter: other})
    (first,) = before.of_type("AWS::ApiGateway::Deployment")
    (second,) = after.of_type("AWS::ApiGateway::Deployment")
    assert first != second
    assert after.properties("TradeApiStage")["DeploymentId"] == {"Ref": second}


def test_the_same_release_again_is_the_same_deployment() -> None:
    assert released({}).of_type("AWS::ApiGateway::Deployment").keys() == (
        released({}).of_type("AWS::ApiGateway::Deployment").keys()
    )


def test_api_keys_can_be_required_besides_the_signature() -> None:
    for operation in operations(stack(ApiKeys="required")).values():
        assert {"AWS_IAM", "api_key"} == {
            name for scheme in operation["security"] for name in scheme
        }
    usage_plan = stack().resources["TradeApiUsagePlan"]
    assert usage_plan["Condition"] == "RequiresApiKeys"
    assert usage_plan["Properties"]["Quota"] == {"Limit": {"Ref": "DailyQuota"}, "Period": "DAY"}


def resource_policy(**parameters: str) -> list[dict[str, Any]]:
    """The API's resource policy after all conditions are resolved."""
    statements = stack(**parameters).properties("TradeApi")["Body"]["x-amazon-apigateway-policy"][
        "Statement"
    ]
    holds = {
        "IamAuthorization": parameters.get("ApiAuthorization", "AWS_IAM") == "AWS_IAM",
        "OtherCallerAccounts": "CallerAccounts" in parameters,
        "OnlyVpcEndpoints": "CallerVpcEndpoints" in parameters,
    }

    def chosen(node: dict[str, Any]) -> dict[str, Any]:
        while "Fn::If" in node:
            condition, if_true, if_false = node["Fn::If"]
            node = if_true if holds[condition] else if_false
        return node

    decided = [chosen(statement) for statement in statements]
    return [statement for statement in decided if statement != {"Ref": "AWS::NoValue"}]


OTHERS = {"CallerAccounts": "111122223333"}
PRIVATE = {"CallerVpcEndpoints": "vpce-1"}


@pytest.mark.parametrize("parameters", [{}, OTHERS, PRIVATE, {**OTHERS, **PRIVATE}])
def test_the_resource_policy_lets_no_principal_of_the_own_account_in(
    parameters: dict[str, str],
) -> None:
    # Within one account, this policy alone would be enough for every principal.
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html
    policy = resource_policy(**parameters)
    assert "AWS::AccountId" not in json.dumps(policy)
    allowed = [each["Principal"] for each in policy if each["Effect"] == "Allow"]
    named = {"AWS": {"Fn::Split": [",", OTHERS["CallerAccounts"]]}}
    assert allowed == ([named] if "CallerAccounts" in parameters else [])


def test_without_signatures_everybody_may_call() -> None:
    (allowed,) = (e for e in resource_policy(ApiAuthorization="NONE") if e["Effect"] == "Allow")
    assert allowed["Principal"] == "*"


@pytest.mark.parametrize("parameters", [PRIVATE, {**OTHERS, **PRIVATE}])
def test_a_private_api_refuses_other_vpc_endpoints(parameters: dict[str, str]) -> None:
    refused = [
        each["Condition"]["StringNotEquals"]
        for each in resource_policy(**parameters)
        if each["Effect"] == "Deny" and "StringNotEquals" in each["Condition"]
    ]
    assert refused == [{"aws:SourceVpce": {"Fn::Split": [",", "vpce-1"]}}]


def test_the_right_of_the_smoke_check_is_the_same_in_each_release() -> None:
    # IAM is eventually consistent: a right that is new in a release may come too late for it.
    first, second = stack(ReleaseDigest="a"), stack(ReleaseDigest="b")
    assert first.statements("SmokeCheckFunction") == second.statements("SmokeCheckFunction")


def test_a_migration_that_takes_too_long_fails_once_and_says_so() -> None:
    made = stack()
    (config,) = (
        each["Properties"]
        for name, each in made.of_type("AWS::Lambda::EventInvokeConfig").items()
        if name.startswith("MigrationFunction")
    )
    assert config["MaximumRetryAttempts"] == 0
    assert config["Qualifier"] == "live"
    wait = made.properties("DatabaseMigration")["ServiceTimeout"]
    assert wait > made.properties("MigrationFunction")["Timeout"]


def test_no_body_is_refused_before_the_service_can_say_what_is_wrong_with_it() -> None:
    body = stack().properties("TradeApi")["Body"]
    assert "x-amazon-apigateway-request-validators" not in body
    assert "parameters" not in operations(stack())["/trade", "post"]


def test_what_api_gateway_answers_itself_is_a_problem_document_that_nobody_keeps() -> None:
    responses = stack().properties("TradeApi")["Body"]["x-amazon-apigateway-gateway-responses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "ACCESS_DENIED", "THROTTLED"} <= responses.keys()
    for response in responses.values():
        headers = response["responseParameters"]
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'"
        assert headers["gatewayresponse.header.Cache-Control"] == "'no-store'"
        template = response["responseTemplates"]["application/json"]
        problem = json.loads(template.replace("$context.error.messageString", '"text"'))
        assert {"type", "title", "code", "detail", "request_id"} <= problem.keys()


def test_requests_are_limited_and_logged_without_their_content() -> None:
    stage = stack().properties("TradeApiStage")
    settings, of_batches, *_ = stage["MethodSettings"]
    assert (settings["HttpMethod"], settings["ResourcePath"]) == ("*", "/*")
    assert settings["ThrottlingRateLimit"] == {"Ref": "ThrottlingRateLimit"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "ThrottlingBurstLimit"}
    # A slash within a path is written as ~1.
    assert (of_batches["ResourcePath"], of_batches["HttpMethod"]) == ("/~1trades", "POST")
    assert of_batches["ThrottlingRateLimit"] == {"Ref": "BatchRateLimit"}
    assert of_batches["ThrottlingBurstLimit"] == {"Ref": "BatchBurstLimit"}
    for each in (settings, of_batches):
        assert each["DataTraceEnabled"] is False
        assert each["LoggingLevel"] == "OFF"
        assert each["MetricsEnabled"] is True
    line = json.loads(stage["AccessLogSetting"]["Format"])
    assert line["request_id"] == "$context.requestId"
    assert line["principal"] == "$context.identity.userArn"


def test_listing_trades_cannot_use_up_the_request_limit_of_booking() -> None:
    every, _, *routes = stack().properties("TradeApiStage")["MethodSettings"]
    paths = stack().properties("TradeApi")["Body"]["paths"]
    # These read a row or none. Each other one reads many rows, and may wait for them.
    few = {"/trade", "/trade/{trade_id}", "/health", "/health/ready", "/docs", "/docs/{file}"}
    reading = {path for path, methods in paths.items() if "get" in methods} - few
    assert {(each["HttpMethod"], each["ResourcePath"]) for each in routes} == {
        ("GET", f"/{path.replace('/', '~1')}") for path in reading
    }
    for route in routes:
        path = route["ResourcePath"][1:].replace("~1", "/")
        assert "get" in paths[path]
        # They replace the settings of all routes, and so must have each of them.
        assert route.keys() == every.keys()
        changed = {name for name in route if route[name] != every[name]}
        assert changed - {"HttpMethod", "ResourcePath"} == {
            "ThrottlingRateLimit",
            "ThrottlingBurstLimit",
        }
        for limit in ("RateLimit", "BurstLimit"):
            assert route[f"Throttling{limit}"] == {"Ref": f"Read{limit}"}
    parameters = declared_parameters(TEMPLATE)
    for name in ("RateLimit", "BurstLimit"):
        one, read, all_ = (
            int(parameters[f"{prefix}{name}"]["Default"])
            for prefix in ("Caller", "Read", "Throttling")
        )
        # Neither all that read nor one caller can use up what the API takes.
        assert max(one, read) < all_


def test_a_callers_limit_is_not_everybodys() -> None:
    assert stack().properties("TradeApiUsagePlan")["Throttle"] == {
        "RateLimit": {"Ref": "CallerRateLimit"},
        "BurstLimit": {"Ref": "CallerBurstLimit"},
    }


def test_all_logs_are_encrypted_and_deleted_in_time() -> None:
    groups = stack().of_type("AWS::Logs::LogGroup")
    assert len(groups) == len(FUNCTIONS) + 1
    for group in groups.values():
        assert group["Properties"]["KmsKeyId"] == {"Ref": "KmsKeyArn"}
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    for function in stack().of_type("AWS::Lambda::Function").values():
        assert function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups


PROGRAM = """
import importlib, sys

class OnlyOfTheLayer:
    def find_spec(self, name, path=None, target=None):
        # What the tests have, and neither the layer nor Lambda's Python.
        if name in ("pydantic", "snapshot_restore_py"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, OnlyOfTheLayer())
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_each_handler_is_there_and_needs_no_package_that_the_layer_lacks(function: str) -> None:
    module, _, _name = stack().properties(function)["Handler"].rpartition(".")
    subprocess.run(
        [sys.executable, "-c", PROGRAM, module],
        env={**os.environ, "PYTHONPATH": str(TEMPLATE.parent / "src")},
        check=True,
    )


def test_each_function_has_a_role_of_its_own() -> None:
    functions = stack().of_type("AWS::Lambda::Function")
    assert functions.keys() == FUNCTIONS
    roles = {json.dumps(function["Properties"]["Role"]) for function in functions.values()}
    assert len(roles) == len(FUNCTIONS)


def test_the_master_secret_is_for_migrations_alone() -> None:
    readers = {
        function
        for function in FUNCTIONS
        if "DatabaseMasterSecretArn" in json.dumps(stack().properties(f"{function}Role"))
    }
    assert readers == {"MigrationFunction"}
    told = {
        function
        for function in FUNCTIONS
        if "DatabaseMasterSecretArn" in json.dumps(stack().properties(function))
    }
    assert told == {"MigrationFunction"}


def test_the_trade_function_may_read_its_secret_and_do_nothing_else() -> None:
    read, decrypt = stack().statements("TradeFunction")
    assert (read["Action"], read["Resource"]) == ("secretsmanager:GetSecretValue", APP_SECRET)
    assert decrypt["Action"] == "kms:Decrypt"
    assert "secretsmanager" in json.dumps(decrypt["Condition"]["StringEquals"]["kms:ViaService"])


def test_the_archive_may_write_archives_and_change_nothing_else_in_the_bucket() -> None:
    actions = {
        action
        for statement in stack().statements("ArchiveFunction")
        for action in (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
    }
    assert {action for action in actions if action.startswith("s3:")} == {
        "s3:ListBucket",
        "s3:PutObject",
        "s3:AbortMultipartUpload",
    }
    (put,) = (s for s in stack().statements("ArchiveFunction") if "s3:PutObject" in s["Action"])
    assert put["Resource"]["Fn::Sub"].endswith(":${DataBucketName}/trades/*")


def test_no_function_may_do_everything_to_something_or_something_to_everything() -> None:
    for function in FUNCTIONS - {"DocumentationFunction"}:
        for statement in stack().statements(function):
            assert "*" not in json.dumps(statement["Action"])
            assert statement["Resource"] != "*"
    assert "Policies" not in stack().properties("DocumentationFunctionRole")


def test_functions_that_need_no_database_are_outside_its_network() -> None:
    inside = {name for name in FUNCTIONS if "VpcConfig" in stack().properties(name)}
    assert inside == {"TradeFunction", "MigrationFunction", "ArchiveFunction"}


def test_a_release_is_checked_first_and_watched_by_alarms() -> None:
    made = stack(DeploymentPreferenceType="Canary10Percent5Minutes")
    policy = made.resources["TradeFunctionAliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
    assert policy["BeforeAllowTrafficHook"] == {"Ref": "SmokeCheckFunction"}
    group = made.properties(policy["DeploymentGroupName"]["Ref"])
    assert group["DeploymentConfigName"] == {
        "Fn::Sub": [
            "CodeDeployDefault.Lambda${ConfigName}",
            {"ConfigName": "Canary10Percent5Minutes"},
        ]
    }
    watched = {alarm["Name"]["Ref"] for alarm in group["AlarmConfiguration"]["Alarms"]}
    assert watched == {"TradeErrorsAlarm", "ApiServerErrorsAlarm"}
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]


def test_the_check_calls_the_new_version_and_codedeploy_may_call_the_check() -> None:
    check = stack().properties("SmokeCheckFunction")
    version = check["Environment"]["Variables"]["CHECKED_VERSION_ARN"]
    assert version == {"Ref": stack().version("TradeFunction")}
    role = check["Environment"]["Variables"]["DATABASE_ROLE"]
    assert role == {"Fn::GetAtt": ["DatabaseMigration", "Role"]}
    invoke, report = stack().statements("SmokeCheckFunction")
    assert invoke["Resource"] == {"Fn::Sub": "${TradeFunction.Arn}:*"}
    assert report["Action"] == "codedeploy:PutLifecycleEventHookExecutionStatus"
    assert check["FunctionName"]["Fn::Sub"] == [
        "CodeDeployHook_trade_${Environment}",
        {"Environment": {"Ref": "EnvironmentSuffix"}},
    ]
    of_preview = stack(ServiceStage="pr-42").properties("SmokeCheckFunction")["FunctionName"]
    start, names = of_preview["Fn::Sub"]
    assert names == {"Environment": {"Fn::Sub": "${EnvironmentSuffix}--${ServiceStage}"}}
    # CodeDeploy's managed role takes this prefix alone, and Lambda 64 characters.
    assert start.startswith("CodeDeployHook_")
    longest = f"{'x' * ENVIRONMENT_SUFFIX_MAX}--{'x' * SERVICE_STAGE_MAX}"
    assert len(start.replace("${Environment}", longest)) <= 64


def test_without_codedeploy_the_alias_moves_at_once() -> None:
    made = stack(DeploymentPreferenceType="Disabled")
    assert "UpdatePolicy" not in made.resources["TradeFunctionAliaslive"]
    assert not [r for r in made.resources.values() if r["Type"].startswith("AWS::CodeDeploy")]


@pytest.mark.parametrize("stage", ["", "x" * SERVICE_STAGE_MAX])
def test_codedeploy_takes_the_names_of_the_longest_environment(stage: str) -> None:
    # CloudFormation names both after stack and resource, and adds a hyphen and 12 or 13 characters.
    # https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html
    environment = "x" * ENVIRONMENT_SUFFIX_MAX
    name = service_stack_name("us-east-1", environment, stage)
    given = release_parameters({}, environment, stage, production=False)
    made = stack(**given).resources
    named = [n for n, each in made.items() if each["Type"].startswith("AWS::CodeDeploy")]
    assert bool(named) is not bool(stage)
    for resource in named:
        assert len(f"{name}-{resource}-") + 13 <= 100


def test_every_way_to_release_that_can_be_chosen_is_mapped() -> None:
    for value in declared_parameters(TEMPLATE)["DeploymentPreferenceType"]["AllowedValues"]:
        made = stack(DeploymentPreferenceType=value)
        assert bool(made.of_type("AWS::CodeDeploy::DeploymentGroup")) is (value != "Disabled")


def test_migrations_run_before_new_code_takes_requests() -> None:
    assert stack().resources["TradeFunction"]["DependsOn"] == "DatabaseMigration"
    migration = stack().properties("DatabaseMigration")
    assert migration["ServiceToken"] == {"Ref": "MigrationFunctionAliaslive"}


def test_snapshots_and_concurrency_are_options() -> None:
    function = stack().properties("TradeFunction")
    assert function["SnapStart"] == {"ApplyOn": {"Ref": "SnapStart"}}
    assert function["ReservedConcurrentExecutions"]["Fn::If"][1:] == [
        {"Ref": "ReservedConcurrency"},
        {"Ref": "AWS::NoValue"},
    ]
    alias = stack().properties("TradeFunctionAliaslive")
    assert alias["ProvisionedConcurrencyConfig"]["Fn::If"][0] == "ProvisionsConcurrency"


def test_functions_run_on_arm_by_default() -> None:
    assert declared_parameters(TEMPLATE)["LambdaArchitecture"]["Default"] == "arm64"
    for name in FUNCTIONS:
        assert stack().properties(name)["Architectures"] == [{"Ref": "LambdaArchitecture"}]


def test_all_alarms_go_to_the_platforms_topic_and_say_what_silence_means() -> None:
    alarms = stack().of_type("AWS::CloudWatch::Alarm")
    assert alarms.keys() == {
        "TradeErrorsAlarm",
        "TradeThrottlesAlarm",
        "ApiServerErrorsAlarm",
        "ApiLatencyAlarm",
        "ArchiveFailedAlarm",
        "ArchiveMissingAlarm",
        "PositionsWrongAlarm",
    }
    # What is wrong stays wrong until a recount says otherwise.
    silences = {"ArchiveMissingAlarm": "breaching", "PositionsWrongAlarm": "ignore"}
    for name, alarm in alarms.items():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopicArn"}]
        silence = alarm["Properties"]["TreatMissingData"]
        assert silence == silences.get(name, "notBreaching")


def test_a_missing_archive_is_no_alarm_before_its_first_hours_are_over() -> None:
    alarm = stack().resources["ArchiveMissingAlarm"]
    # The migration has written the first sign of life before the alarm looks for one.
    assert alarm["DependsOn"] in ("DatabaseMigration", ["DatabaseMigration"])
    assert alarm["Properties"]["MetricName"] == ARCHIVE_HEARTBEAT


def test_a_dead_archive_is_noticed() -> None:
    schedule = stack().properties("ArchiveFunctionEachHour")
    failures = {"Fn::GetAtt": ["ArchiveFailures", "Arn"]}
    assert schedule["Target"]["DeadLetterConfig"] == {"Arn": failures}
    invocations = stack().properties("ArchiveFunctionEventInvokeConfig")
    assert invocations["DestinationConfig"]["OnFailure"]["Destination"] == failures
    missing = stack().properties("ArchiveMissingAlarm")
    # Longer than the time between two runs, and within what CloudWatch evaluates: seven days.
    assert 3600 < missing["Period"] * missing["EvaluationPeriods"] <= 7 * 24 * 3600


def test_no_other_queue_can_write_its_dead_letters_into_the_services() -> None:
    """SQS asks nobody when it moves them: by default, from any queue of the account."""
    for stage in ("", "pr-42"):
        queue = stack(ServiceStage=stage).properties("ArchiveFailures")
        assert queue["RedriveAllowPolicy"] == {"redrivePermission": "denyAll"}


def test_the_name_of_the_queue_tells_whose_it_is() -> None:
    """CloudFormation does not tag queues with their stack."""
    for stage, environment in (
        ("", {"Ref": "EnvironmentSuffix"}),
        ("pr-42", {"Fn::Sub": "${EnvironmentSuffix}--${ServiceStage}"}),
    ):
        name = stack(ServiceStage=stage).properties("ArchiveFailures")["QueueName"]
        form, names = name["Fn::Sub"]
        assert form == failure_queue("${Environment}") + "${Stack}"
        assert names["Environment"] == environment
        # SQS takes 80 characters. The stack's part is the end of its id, a UUID.
        longest = f"{'x' * ENVIRONMENT_SUFFIX_MAX}--{'x' * SERVICE_STAGE_MAX}"
        assert len(form.replace("${Environment}", longest).replace("${Stack}", "x" * 12)) <= 80


def test_the_dashboard_is_json_that_shows_the_services_metrics() -> None:
    body = stack().properties("Dashboard")["DashboardBody"]["Fn::Sub"]
    document = json.loads(body.replace("${LatencyAlarmMilliseconds}", "1000"))
    assert len(document["widgets"]) == 6
    for name in ("TradesAccepted", "TradesReplayed", "TradesRejected", "DatabaseRetries"):
        assert name in body


def test_the_documentation_is_off_by_default() -> None:
    assert declared_parameters(TEMPLATE)["Documentation"]["Default"] == "Disabled"
    assert stack().resources["DocumentationFunction"]["Condition"] == "ServesDocumentation"


PREVIEW = "pr-42"


def test_the_service_leaves_the_accounts_settings_alone() -> None:
    assert not stack().of_type("AWS::ApiGateway::Account")


def test_a_preview_has_no_alarm_schedule_or_dashboard() -> None:
    made = stack(ServiceStage=PREVIEW)
    gone = stack().resources.keys() - made.resources.keys()
    assert not made.of_type("AWS::CloudWatch::Alarm")
    assert {"Dashboard", "ArchiveFunctionEachHour"} <= gone
    assert not [name for name in gone if "Function" in name and "EachHour" not in name]
    (group,) = made.of_type("AWS::CodeDeploy::DeploymentGroup").values()
    assert not group["Properties"].get("AlarmConfiguration")


def test_a_preview_has_a_secret_of_its_own_and_no_function_of_it_reads_the_environments() -> None:
    made = stack(ServiceStage=PREVIEW)
    (secret,) = made.of_type("AWS::SecretsManager::Secret").values()
    assert secret["Properties"]["KmsKeyId"] == {"Ref": "KmsKeyArn"}
    assert secret["DeletionPolicy"] == "Delete"
    assert not {"SecretString", "GenerateSecretString"} & secret["Properties"].keys()
    assert "DatabaseAppSecretArn" not in json.dumps(made.resources)
    assert not stack().of_type("AWS::SecretsManager::Secret")


def test_a_preview_writes_and_deletes_objects_of_its_own_alone() -> None:
    made = stack(ServiceStage=PREVIEW)
    for function in ("ArchiveFunction", "MigrationFunction"):
        on_objects = [
            statement["Resource"]["Fn::Sub"]
            for statement in made.statements(function)
            if "Object" in json.dumps(statement["Action"])
        ]
        assert on_objects
        assert all(
            "${DataBucketName}/previews/${ServiceStage}/" in resource for resource in on_objects
        )
    # The environment's own migration deletes nothing.
    assert "s3:" not in json.dumps([s["Action"] for s in stack().statements("MigrationFunction")])


def test_a_previews_metrics_and_answers_are_not_the_environments() -> None:
    for function in FUNCTIONS:
        variables = stack(ServiceStage=PREVIEW).properties(function)["Environment"]["Variables"]
        assert variables["ENVIRONMENT_SUFFIX"] == {
            "Fn::Sub": "${EnvironmentSuffix}--${ServiceStage}"
        }
        assert variables["SERVICE_STAGE"] in (PREVIEW, {"Ref": "ServiceStage"})
        own = stack().properties(function)["Environment"]["Variables"]
        assert "SERVICE_STAGE" not in own
        assert own["ENVIRONMENT_SUFFIX"] == {"Ref": "EnvironmentSuffix"}
