"""The certificate of all profiles: nothing is refused, and mutations are caught."""

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from certify import handlers, report
from certify.calls import denied as denied_to_caller
from certify.calls import refused
from certify.documents import PROFILES, Findings, policies, profile, template
from certify.plans import plan_of
from certify.recording import Call, Check, Work
from certify.recordings import judged as judged_recording
from certify.references import dependent_actions
from certify.template import (
    PUBLISHED,
    denied_to_handlers,
    named,
    refused_by_schemas,
    with_values,
)
from certify.transformed import transformed
from infra.config.place import Place
from infra.gate import acceptance
from infra.gate.calls import CALLS, Action
from infra.gate.permissions import denied
from infra.policies.infra_deployer import infra_deployer, infra_deployer_access
from infra.policies.service_deployer import service_deployer, service_deployer_access
from shared.naming import ENVIRONMENT_SUFFIX_MAX, SERVICE_STAGE_MAX
from tests.support.synthesized import variant

DENIAL = {"Effect": "Deny", "Action": "*", "Resource": "*"}
ROOT = Path(__file__).resolve().parents[2]
PLACE = Place("000000000000", "us-east-1", "qa")


@pytest.fixture(scope="module")
def judged() -> list[Findings]:
    return [
        *(profile(name) for name in PROFILES),
        *(template(stage) for stage in ("", "pr-42")),
        policies(),
    ]


def test_nothing_of_all_profiles_and_of_the_service_is_refused(judged: list[Findings]) -> None:
    for found in judged:
        assert found.judged > 0
        assert found.refused == [], found.title


def test_the_page_is_the_certificate_of_the_code(judged: list[Findings]) -> None:
    page = (ROOT / "docs" / "certificate.md").read_text()
    assert page == report.stable(judged), "run `make certify`"


def test_the_report_of_a_run_names_what_is_refused_and_assumed() -> None:
    found = [
        Findings("plans", judged=3000, refused=["it is bad"], assumed=["it is so"]),
        Findings("policies", judged=2),
    ]
    lines = report.of_run(found, 1.4).splitlines()
    assert lines[2].startswith("3,002 judged, 1 refused, in 1 s.")
    assert "| plans | 3,000 | 1 | 1 |" in lines
    assert "- plans: it is bad" in lines
    assert "- it is so" in lines


def test_a_permission_taken_from_the_infra_deployer_is_caught() -> None:
    plan = plan_of(variant("standard")["us-east-1"].document, "create")

    def less(place: Place) -> Mapping[str, Any]:
        return without(infra_deployer(place), "ec2:*NatGateway*")

    found = [text for _, text in denied(plan, "us-east-1", "qa", [less, infra_deployer_access])]
    assert any("may not ec2:CreateNatGateway on arn:aws:ec2:us-east-1:" in text for text in found)


def test_a_permission_taken_from_the_service_deployer_is_caught() -> None:
    documents = [service_deployer(PLACE), service_deployer_access(PLACE)]
    template = transformed()
    assert list(denied_to_handlers(template, documents)) == []
    found = list(denied_to_handlers(template, [without(d, "iam:PassRole") for d in documents]))
    assert "AWS::Lambda::Function: service-deployer may not iam:PassRole" in str(found)


def without(document: Mapping[str, Any], action: str) -> Mapping[str, Any]:
    """A document in which nothing allows an action any more."""
    return {
        **document,
        "Statement": [
            {**statement, "Action": [name for name in statement["Action"] if name != action]}
            for statement in document["Statement"]
        ],
    }


def test_a_key_policy_without_a_service_is_caught() -> None:
    stack = copy.deepcopy(variant("dev")["us-east-1"].document)
    for key in stack["resource"]["aws_kms_key"].values():
        document = json.loads(key["policy"])
        document["Statement"] = [
            s for s in document["Statement"] if "Service" not in s["Principal"]
        ]
        key["policy"] = json.dumps(document)
    found = list(acceptance.refused(plan_of(stack, "create"), "us-east-1", "qa"))
    assert {address.partition(".")[0] for address, _ in found} == {"aws_kms_key"}
    assert "does not let logs.us-east-1.amazonaws.com kms:Decrypt" in str(found)


def test_a_changed_enumeration_is_caught() -> None:
    stack = copy.deepcopy(variant("dev")["us-east-1"].document)
    for alarm in stack["resource"]["aws_cloudwatch_metric_alarm"].values():
        alarm["comparison_operator"] = "GreaterThan"
    found = list(acceptance.refused(plan_of(stack, "create"), "us-east-1", "qa"))
    assert found
    assert all("'GreaterThan' is none of GreaterThanOrEqualTo" in text for _, text in found)


def test_what_aws_asks_for_besides_a_call_is_in_the_table() -> None:
    for type_, calls in CALLS.items():
        names = {a.name if isinstance(a, Action) else a for a in calls.add}
        for name in names:
            # Which services may assume a role is for the deny in the policy.
            missing = dependent_actions(name) & {"iam:PassRole"} - names
            assert not missing or type_ in ("aws_rds_cluster", "aws_s3_bucket"), (type_, name)


def call(**more: Any) -> Call:
    known: dict[str, Any] = {
        "caller": "arn:aws:sts::000000000000:assumed-role/deployer/session",
        "tool": "Terraform",
        "region": "us-east-1",
        "service": "kms",
        "operation": "CreateKey",
        "parameters": {},
        "checks": [Check("kms:CreateKey", "*")],
        "status": 200,
        "identity": [allowing("kms:CreateKey", "*")],
    }
    return Call(**{**known, **more})


def allowing(action: str, resource: str, **more: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_a_recorded_call_is_judged_by_its_model_and_its_action() -> None:
    assert list(refused(call())) == []
    assert list(refused(call(parameters={"KeySpec": "AES"}))) != []
    hidden = {"Name": "/a", "Value": "(hidden)", "Type": "SecureString"}
    assert list(refused(call(service="ssm", operation="PutParameter", parameters=hidden))) == []
    assert list(refused(call(checks=[Check("kms:CreateLock", "*")]))) == [
        "kms:CreateKey: there is no action kms:CreateLock"
    ]
    assert not call(status=404).succeeded


KEY = "arn:aws:kms:us-east-1:000000000000:key/1"
WHO = {
    "aws:principalarn": "arn:aws:sts::000000000000:assumed-role/deployer/session",
    "aws:principalaccount": "000000000000",
}
OF_ACCOUNT = {"AWS": "arn:aws:iam::000000000000:root"}
OF_ROLE = {"AWS": "arn:aws:iam::000000000000:role/deployer"}
BUCKET = "arn:aws:s3:::bucket"


@pytest.mark.parametrize(
    ("check", "more", "says"),
    [
        (Check("kms:Decrypt", KEY, WHO), {}, "no policy of the caller allows it"),
        (Check("kms:CreateKey", "*", WHO), {"boundary": allowing("kms:List*", "*")}, "boundary"),
        (
            Check("kms:CreateKey", "*", WHO),
            {"identity": [allowing("*", "*"), {"Statement": [{**DENIAL, "Action": "kms:*"}]}]},
            "a policy of the caller denies it",
        ),
        (
            Check("kms:Decrypt", KEY, WHO, allowing("kms:*", "*", Principal={"AWS": "1" * 12})),
            {"identity": [allowing("kms:*", "*")]},
            "the resource's own policy does not allow it",
        ),
        (
            Check("kms:Decrypt", KEY, WHO, allowing("kms:*", "*", Principal=OF_ACCOUNT)),
            {"identity": [allowing("kms:*", "*")]},
            "",
        ),
        (
            Check("kms:Decrypt", KEY, WHO, allowing("kms:*", "*", Principal=OF_ROLE)),
            {"identity": [allowing("kms:*", "*")]},
            "",
        ),
        (
            Check("s3:ListBucket", BUCKET, WHO, {"Statement": {**DENIAL, "Principal": "*"}}),
            {"identity": [allowing("s3:*", "*")]},
            "the resource's own policy does not allow it",
        ),
        (
            Check("s3:ListBucket", BUCKET, WHO, allowing("s3:*", "*", Principal={"Service": "x"})),
            {"identity": [allowing("s3:*", "*")]},
            "",
        ),
    ],
)
def test_a_recorded_call_is_judged_by_every_policy_that_applies(
    check: Check, more: dict[str, Any], says: str
) -> None:
    found = list(denied_to_caller(call(checks=[check], **more)))
    if not says:
        assert found == []
    else:
        (reason,) = found
        assert reason.startswith(f"deployer may not {check.action} on {check.resource}: ")
        assert says in reason


def test_a_call_is_judged_on_the_resource_that_its_parameters_name() -> None:
    subnet = "arn:aws:ec2:us-east-1:000000000000:subnet/subnet-1"
    deletion = call(
        service="ec2",
        operation="DeleteSubnet",
        parameters={"SubnetId": "subnet-1"},
        checks=[Check("ec2:DeleteSubnet", "*", WHO)],
    )
    denied_here = list(denied_to_caller(deletion))
    assert denied_here == [
        f"deployer may not ec2:DeleteSubnet on {subnet}: no policy of the caller allows it"
    ]
    allowed = replace(deletion, identity=[allowing("ec2:*", subnet)])
    assert list(denied_to_caller(allowed)) == []


SERVICE_ROLE = (
    "arn:aws:iam::000000000000:role/trading-platform-service-useast1-qa/"
    "trading-platform-service-TradeFunctionRole-A1B2C3"
)


def work(type_: str, verb: str = "create", **properties: Any) -> Work:
    return Work(
        caller="arn:aws:sts::000000000000:assumed-role/service-deployer/session",
        region="us-east-1",
        type=type_,
        verb=verb,
        id="trading-platform-service-Some-A1B2C3",
        stack="trading-platform-service-useast1-qa",
        properties=properties,
        identity=[service_deployer(PLACE), service_deployer_access(PLACE)],
    )


FUNCTION = work(
    "AWS::Lambda::Function",
    Role=SERVICE_ROLE,
    Layers=[
        "arn:aws:lambda:us-east-1:000000000000:layer:trading-platform-service-useast1-qa-dependencies:1"
    ],
    Code={
        "S3Bucket": "trading-platform-code-000000000000-useast1-qa",
        "S3Key": "trading-platform-service-useast1-qa/1",
    },
)


def test_the_work_of_cloudformation_is_judged_on_the_resources_that_it_is_for() -> None:
    asked = {(check.action, check.resource) for check in handlers.checks(FUNCTION)}
    assert asked >= {
        ("iam:PassRole", SERVICE_ROLE),
        ("lambda:GetLayerVersion", FUNCTION.properties["Layers"][0]),
        (
            "s3:GetObject",
            "arn:aws:s3:::trading-platform-code-000000000000-useast1-qa/"
            "trading-platform-service-useast1-qa/1",
        ),
        ("ec2:DescribeVpcs", "*"),
        ("kms:Decrypt", ""),
    }
    assert list(handlers.denied(FUNCTION)) == []
    assert "kms:Decrypt" in list(handlers.unknown(FUNCTION))
    api = work("AWS::ApiGateway::RestApi", "delete")
    assert {check.resource for check in handlers.checks(api)} == {
        "arn:aws:apigateway:us-east-1::/restapis/trading-platform-service-Some-A1B2C3"
    }
    migration = work("Custom::DatabaseMigration", ServiceToken=FUNCTION_ARN)
    assert [(check.action, check.resource) for check in handlers.checks(migration)] == [
        ("lambda:InvokeFunction", FUNCTION_ARN)
    ]


FUNCTION_ARN = "arn:aws:lambda:us-east-1:000000000000:function:trading-platform-service-A-1"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"id": "other"}, "may not lambda:CreateFunction on arn:aws:lambda:us-east-1:"),
        ({"properties": {"Role": "arn:aws:iam::000000000000:role/admin"}}, "may not iam:PassRole"),
        ({"region": "eu-west-1"}, "function:trading-platform-service-Some-A1B2C3: no policy"),
    ],
)
def test_work_that_the_deployer_may_not_do_is_named(changed: dict[str, Any], says: str) -> None:
    assert says in "\n".join(handlers.denied(replace(FUNCTION, **changed)))


def test_every_caller_of_a_recording_has_findings() -> None:
    owner = call(caller="arn:aws:iam::000000000000:root", identity=[])
    own = replace(FUNCTION, caller=owner.caller, identity=[])
    function = call(
        caller="arn:aws:sts::000000000000:assumed-role/x-TradeFunctionRole-A1B2C3D4E5F6/x",
        service="lambda",
        operation="GET /unknown",
        checks=[Check("lambda:GetFunction", "*"), Check("lambda:GetAccountSettings", "*")],
        identity=[allowing("lambda:Get*", "*")],
        status=200,
    )
    refusal = call(
        service="kms", operation="Decrypt", checks=[Check("kms:Decrypt", KEY)], status=403
    )
    bad = call(parameters={"KeySpec": "AES"})
    failed = call(parameters={"KeySpec": "AES"}, status=400)
    found = {
        item.title: item
        for item in judged_recording([owner, own, function, refusal, bad, failed, FUNCTION])
    }
    assert {title: (item.judged, len(item.refused)) for title, item in found.items()} == {
        "deployer": (3, 2),
        "owner": (1, 0),
        "CloudFormation for owner": (1, 0),
        "CloudFormation for service-deployer": (1, 0),
        "x-TradeFunctionRole": (1, 0),
    }
    assert found["owner"].assumed == ["the account's own credentials may do everything"]
    assert found["x-TradeFunctionRole"].assumed == [
        "lambda:GET /unknown: no model has this operation, so its parameters are right",
        "lambda:GetFunction is for a resource that is not denied",
    ]


def test_names_are_judged_as_long_as_aws_gets_them() -> None:
    for stage in ("", "x" * SERVICE_STAGE_MAX):
        template = transformed(ServiceStage=stage)
        values = {
            **PUBLISHED,
            "EnvironmentSuffix": "s" * (ENVIRONMENT_SUFFIX_MAX + 4),
            "ServiceStage": stage,
            "AWS::StackName": f"trading-platform-service-useast1-{'s' * 24}",
        }
        found = list(refused_by_schemas(named(with_values(template, values), values)))
        places = [re.match(r"Resources\.(\w+)", reason) for reason in found]
        too_long = {place[1] for place in places if place}
        assert too_long == ({"SmokeCheckFunction"} if stage else {"ArchiveFunctionEachHour"})


def test_the_service_reserves_no_concurrency_of_a_new_account() -> None:
    template = transformed()
    reserved = {
        name: resource["Properties"]["ReservedConcurrentExecutions"]
        for name, resource in template["Resources"].items()
        if "ReservedConcurrentExecutions" in resource.get("Properties", {})
    }
    assert reserved == {
        "TradeFunction": {
            "Fn::If": [
                "ReservesConcurrency",
                {"Ref": "ReservedConcurrency"},
                {"Ref": "AWS::NoValue"},
            ]
        }
    }
    defaults = template["Parameters"]
    assert defaults["ReservedConcurrency"]["Default"] == 0
    assert defaults["ProvisionedConcurrency"]["Default"] == 0
