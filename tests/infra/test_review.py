"""The comment on what a deploy would change and cost, with the real Terraform."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.commands import review
from infra.commands.cost import load_prices
from infra.commands.review import MAX_CHARACTERS, RegionReview, comment, deployed_stack
from infra.config.environment import load_environment
from infra.gate.changes import Change, plan_changes
from infra.gate.verdict import Verdict, judge
from infra.terraform.backend import stack_folder
from infra.terraform.program import installed_terraform
from tests.support.emulator import Emulator
from tests.support.synthesized import variant

PRICES = load_prices()
REGION = "us-east-1"
NOTHING: Mapping[str, Any] = {"provider": {"aws": [{"region": REGION}]}, "resource": {}}
ANYTHING = RegionReview(REGION, (), Verdict(), "No changes.", NOTHING, NOTHING)


def resource_change(address: str, *actions: str, **more: object) -> Mapping[str, Any]:
    return {"address": address, "change": {"actions": list(actions), **more}}


# As `terraform show -json` has a plan.
PLAN: Mapping[str, Any] = {
    "resource_changes": [
        resource_change("aws_vpc.stays", "no-op"),
        resource_change("data.aws_caller_identity.account", "read"),
        resource_change("aws_subnet.new", "create"),
        resource_change("aws_subnet.old", "delete"),
        resource_change("aws_s3_bucket.data", "update"),
        resource_change(
            "aws_rds_cluster.database",
            *("delete", "create"),
            replace_paths=[["database_name"], ["tags", "Name"], ["tags", "Stack"]],
        ),
        resource_change("aws_eip.first", "create", "delete"),
        resource_change("aws_kms_key.given", "forget"),
    ],
    "prior_state": {
        "values": {
            "root_module": {
                "resources": [
                    {
                        "mode": "managed",
                        "type": "aws_nat_gateway",
                        "address": "aws_nat_gateway.a",
                        "values": {"subnet_id": "subnet-1"},
                    },
                    {"mode": "data", "type": "aws_caller_identity", "address": "x", "values": {}},
                ]
            }
        }
    },
}


def reviewed(plan: Mapping[str, Any], **more: Any) -> RegionReview:
    return replace(
        ANYTHING,
        changes=tuple(plan_changes(plan)),
        verdict=judge(plan, {}),
        deployed=deployed_stack(plan, REGION),
        **more,
    )


def test_what_stays_or_is_only_read_is_no_change() -> None:
    assert list(plan_changes(PLAN)) == [
        Change("aws_subnet.new", "add"),
        Change("aws_subnet.old", "destroy"),
        Change("aws_s3_bucket.data", "change"),
        Change("aws_rds_cluster.database", "replace", ("database_name", "tags")),
        Change("aws_eip.first", "replace"),
        Change("aws_kms_key.given", "forget"),
    ]


def test_what_is_lost_stands_above_everything_else_with_the_reason() -> None:
    text = comment("dev", [reviewed(PLAN)], PRICES)
    lines = [line for line in text.splitlines() if line]
    heading = "1 to destroy, 2 to replace, 1 to forget, 1 to add, 1 to change"
    assert lines[0] == f"### Plan of `dev`: {heading}"
    assert lines[1] == "- us-east-1: **cannot work**"
    assert lines[2].startswith("  - cannot work: aws_rds_cluster.database: another database.name")
    assert lines[3].startswith("  - loses: aws_kms_key.given: all that it encrypts")
    assert lines[4].startswith("  - interrupts: aws_subnet.old: ")
    assert "- us-east-1: add `aws_subnet.new`" in lines[5:]


def test_the_cost_of_what_is_deployed_stands_beside_that_of_what_is_planned() -> None:
    planned = variant("dev")[REGION].document
    text = comment("dev", [reviewed(PLAN, planned=planned)], PRICES)
    overview = text[text.index("| Region") :].splitlines()
    assert overview[0].endswith("| $ a month now | $ a month then |")
    # One NAT gateway is deployed, with the traffic that is assumed of it.
    now, then = overview[2].split("|")[-3:-1]
    assert float(now) == pytest.approx(0.045 * 730 + 0.045 * 10, abs=0.005)
    assert float(then) > float(now)
    assert re.search(r"all regions: total +33\.30 ", text)


def test_a_plan_without_changes_says_so_in_one_line() -> None:
    text = comment("dev", [ANYTHING], PRICES)
    assert text.startswith("### Plan of `dev`: nothing to change\n")
    assert "- us-east-1: **nothing lost**\n" in text
    assert "Every change" not in text


def test_a_comment_is_cut_at_whole_lines_to_what_github_takes_and_stays_well_formed() -> None:
    gone = {
        "resource_changes": [
            resource_change(f"aws_subnet.{number:0100}", "delete") for number in range(2000)
        ]
    }
    regions = [
        replace(reviewed(gone), region=region, plan="  - a line of the plan\n" * 5000)
        for region in ("us-east-1", "us-west-2")
    ]
    text = comment("dev", regions, PRICES)
    assert MAX_CHARACTERS - 1000 < len(text) <= MAX_CHARACTERS
    assert text.count("<details>") == text.count("</details>") == 4
    assert text.count("```") == 6
    assert all(len(name) == 100 for name in re.findall(r"aws_subnet\.(\d+)", text))
    # The regions' plans share what is left.
    one, other = (part.count("a line of the plan\n") for part in text.split("on us-west-2"))
    assert one == pytest.approx(other, abs=2)
    assert "cut here: `make plan` shows all" in text


def test_a_plan_cannot_end_the_block_that_it_stands_in() -> None:
    text = comment("dev", [replace(ANYTHING, plan="a\n```\n<b>not bold</b>")], PRICES)
    assert "\n````text\na\n```\n<b>not bold</b>\n````\n" in text


def test_a_secret_that_terraform_keeps_to_itself_is_in_no_comment(
    aws: Emulator, tmp_path: Path
) -> None:
    environment = load_environment({"CDKTF_OUTDIR": str(tmp_path / "out"), "STATE": "local"})
    folder = stack_folder(environment, REGION)
    folder.mkdir(parents=True)
    secret = {"input": {"user": "app", "password": '${sensitive("hunter2")}'}}
    stack = {**NOTHING, "resource": {"terraform_data": {"secret": secret}}}
    # No provider is needed for that.
    written = {key: value for key, value in stack.items() if key != "provider"} | {"terraform": {}}
    (folder / "cdk.tf.json").write_text(json.dumps(written))
    with installed_terraform(os.environ) as terraform:
        found = review.review(environment, REGION, terraform, tmp_path)
    text = comment("dev", [replace(found, planned=NOTHING)], PRICES)
    assert "add `terraform_data.secret`" in text
    assert "(sensitive value)" in text
    assert "hunter2" not in text


def test_a_fresh_environment_is_all_to_add(
    aws: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CDKTF_OUTDIR", str(tmp_path / "out"))
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "dev")
    review.main()
    printed = capfd.readouterr()
    added = len(variant("dev")[REGION].all_resources())
    assert printed.out.startswith(f"### Plan of `dev`: {added} to add\n")
    assert printed.out.count("\n- us-east-1: add `") == added
    assert "# aws_cloudwatch_dashboard.observability_dashboard" in printed.out
    assert printed.err == "==> trading-platform-useast1-dev: terraform plan\n"
