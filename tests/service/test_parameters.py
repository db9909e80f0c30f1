"""Which values a release gives the parameters of the template."""

from pathlib import Path

import pytest

from service.deploy.build import TEMPLATE
from service.deploy.parameters import (
    COMPUTED,
    ENVIRONMENTS,
    changed_parameters,
    chosen_parameters,
    command_parameters,
    environment_parameters,
    release_parameters,
)
from shared.cli.errors import UserError
from shared.contract.loader import SSM_TYPE_PREFIX
from shared.contract.template import declared_parameters


def test_parameters_of_the_template_can_be_given() -> None:
    assert command_parameters("") == {}
    text = 'ApiAuthorization=NONE SnapStart="None" ApiAuthorization=AWS_IAM'
    assert command_parameters(text) == {"ApiAuthorization": "AWS_IAM", "SnapStart": "None"}


@pytest.mark.parametrize(
    "text",
    [
        "Nonsense=1",
        "ApiAuthorization",
        "=1",
        "'unclosed",
        # Which copy this is, what each release computes, and what the contract says.
        "EnvironmentSuffix=dev",
        "ServiceStage=dev",
        "ReleaseDigest=1",
        "DatabasePort=3306",
    ],
)
def test_an_unknown_choice_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="SERVICE_PARAMETERS") as error:
        command_parameters(text)
    assert "\n" not in str(error.value)


def test_an_environments_file_holds_what_lasts(tmp_path: Path) -> None:
    (tmp_path / "qa.toml").write_text('Tracing = "Active"\nLogRetentionDays = 90\n')
    assert environment_parameters("qa", tmp_path) == {"Tracing": "Active", "LogRetentionDays": "90"}
    assert environment_parameters("dev", tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Tracing", "not TOML"),
        ("Tracing = true", "Tracing True: use text or a whole number"),
        ("Nonsense = 1", "'Nonsense' is no parameter"),
        ('DatabasePort = "1"', "'DatabasePort' is no parameter"),
    ],
)
def test_a_wrong_line_of_the_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "qa.toml").write_text(text)
    with pytest.raises(UserError, match=complaint) as error:
        environment_parameters("qa", tmp_path)
    assert "qa.toml" in str(error.value)


@pytest.mark.parametrize("file", sorted(ENVIRONMENTS.glob("*.toml")), ids=lambda file: file.stem)
def test_the_files_that_there_are_can_be_used(file: Path) -> None:
    chosen_parameters(file.stem, {})


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"LAMBDA_ARCHITECTURE": "mips"}, "LAMBDA_ARCHITECTURE: .* 'mips': use one of arm64, x86"),
        ({"SERVICE_PARAMETERS": "Tracing=On"}, "SERVICE_PARAMETERS: Tracing 'On': use one of Act"),
        ({"SERVICE_PARAMETERS": "ApiKeys=yes"}, "ApiKeys 'yes': use one of \\(empty\\), required"),
        ({"SERVICE_PARAMETERS": "CallerAccounts=12"}, "CallerAccounts '12': use what .* matches"),
        ({"SERVICE_PARAMETERS": "DailyQuota=0"}, "DailyQuota '0': use a whole number from 1"),
        ({"SERVICE_PARAMETERS": "DailyQuota=many"}, "DailyQuota 'many': use a whole number"),
    ],
)
def test_a_value_that_the_template_does_not_allow_is_refused_before_a_build(
    variables: dict[str, str], complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        chosen_parameters("qa", variables)


def test_a_value_that_the_template_allows_is_accepted() -> None:
    text = "ApiKeys= DailyQuota=5 CallerAccounts=111122223333,444455556666 WebAclArn=arn:x"
    assert chosen_parameters("qa", {"SERVICE_PARAMETERS": text})["CallerAccounts"].endswith("666")


def test_the_command_overrides_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment_parameters, "__defaults__", (tmp_path,))
    (tmp_path / "qa.toml").write_text('Tracing = "Active"\nLogRetentionDays = 90\n')
    chosen = chosen_parameters(
        "qa", {"SERVICE_PARAMETERS": "LogRetentionDays=60", "LAMBDA_ARCHITECTURE": "x86_64"}
    )
    assert chosen == {
        "LambdaArchitecture": "x86_64",
        "Tracing": "Active",
        "LogRetentionDays": "60",
    }


def test_a_release_says_the_value_of_every_parameter() -> None:
    # CloudFormation keeps the deployed value of a parameter that a deploy does not name.
    given = release_parameters({"Tracing": "Active"}, "qa", "", production=False)
    own = {
        name
        for name, declaration in declared_parameters(TEMPLATE).items()
        if not declaration["Type"].startswith(SSM_TYPE_PREFIX)
    }
    assert given.keys() == own - COMPUTED
    assert given["Tracing"] == "Active"
    assert given["ApiAuthorization"] == "AWS_IAM"


def test_production_moves_callers_step_by_step_and_shows_no_documentation() -> None:
    how = ("DeploymentPreferenceType", "Documentation")
    production = release_parameters({}, "live", "", production=True)
    other = release_parameters({}, "production", "", production=False)
    assert [production[name] for name in how] == ["Canary10Percent5Minutes", "Disabled"]
    assert [other[name] for name in how] == ["AllAtOnce", "Enabled"]


def test_a_preview_is_cheap_by_default() -> None:
    preview = release_parameters({"LogRetentionDays": "5"}, "dev", "pr-42", production=False)
    assert preview["ServiceStage"] == "pr-42"
    assert preview["ReservedConcurrency"] == "2"
    assert preview["LogRetentionDays"] == "5"


def test_a_preview_is_released_without_codedeploy_whatever_the_environment_has(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment_parameters, "__defaults__", (tmp_path,))
    (tmp_path / "qa.toml").write_text('DeploymentPreferenceType = "Canary10Percent5Minutes"\n')
    chosen = chosen_parameters("qa", {"SERVICE_STAGE": "pr-42"})
    preview = release_parameters(chosen, "qa", "pr-42", production=False)
    assert preview["DeploymentPreferenceType"] == "Disabled"
    own = release_parameters(chosen, "qa", "", production=False)
    assert own["DeploymentPreferenceType"] == "Canary10Percent5Minutes"


@pytest.mark.parametrize(
    ("stage", "how"), [("pr-42", "Disabled"), ("", "AllAtOnce"), ("", "Disabled")]
)
def test_a_command_may_choose_how_callers_move(stage: str, how: str) -> None:
    text = f"DeploymentPreferenceType={how}"
    chosen = chosen_parameters("qa", {"SERVICE_STAGE": stage, "SERVICE_PARAMETERS": text})
    assert chosen["DeploymentPreferenceType"] == how


def test_a_command_that_asks_for_a_preview_with_codedeploy_is_refused() -> None:
    text = "DeploymentPreferenceType=AllAtOnce"
    with pytest.raises(UserError, match="DeploymentPreferenceType 'AllAtOnce': remove it; a prev"):
        chosen_parameters("qa", {"SERVICE_STAGE": "pr-42", "SERVICE_PARAMETERS": text})


def test_a_difference_to_what_is_deployed_is_found() -> None:
    deployed = {"Tracing": "Active", "WebAclArn": "", "ReleaseDigest": "old"}
    wanted = {"Tracing": "PassThrough", "WebAclArn": "", "ReleaseDigest": "new", "ApiKeys": ""}
    assert changed_parameters(deployed, wanted) == {"Tracing": ("Active", "PassThrough")}
