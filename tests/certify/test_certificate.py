"""The certificate of all profiles: nothing is refused, and mutations are caught."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from certify import report
from certify.calls import Call, refused
from certify.documents import PROFILES, Findings, policies, profile, template
from certify.plans import plan_of
from certify.references import dependent_actions
from certify.template import denied_to_handlers
from certify.transformed import transformed
from infra.config.place import Place
from infra.gate import acceptance
from infra.gate.calls import CALLS, Action
from infra.gate.permissions import denied
from infra.policies.infra_deployer import infra_deployer, infra_deployer_access
from infra.policies.service_deployer import service_deployer, service_deployer_access
from tests.support.synthesized import variant

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


def test_the_report_of_a_run_names_what_is_refused() -> None:
    found = [Findings("plans", judged=3, refused=["it is bad"]), Findings("policies", judged=2)]
    assert report.of_run(found, 1.4).splitlines() == [
        "plans: 3 judged, 1 refused",
        "policies: 2 judged, 0 refused",
        "refused: it is bad",
        "5 judged, 1 refused, in 1 s",
    ]


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
        "caller": "arn:aws:iam::000000000000:root",
        "tool": "Terraform",
        "region": "us-east-1",
        "service": "kms",
        "operation": "CreateKey",
        "parameters": {},
        "action": "kms:CreateKey",
        "resource": "*",
        "status": 200,
    }
    return Call(**{**known, **more})


def test_a_recorded_call_is_judged_by_its_model_and_its_action() -> None:
    assert list(refused(call())) == []
    assert list(refused(call(parameters={"KeySpec": "AES"}))) != []
    hidden = {"Name": "/a", "Value": "(hidden)", "Type": "SecureString"}
    secret = call(
        service="ssm", operation="PutParameter", parameters=hidden, action="ssm:PutParameter"
    )
    assert list(refused(secret)) == []
    assert list(refused(call(action="kms:CreateLock"))) == [
        "kms:CreateKey: there is no action kms:CreateLock"
    ]
    assert not call(status=404).succeeded
