"""What the deploy passes to the SAM CLI; tests/platform runs it."""

import os
from pathlib import Path

import pytest

from service.deploy import commands as stack
from service.deploy import stack_status
from service.deploy.commands import build_digest, release_digest, service_parameters
from shared.cli.errors import UserError


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "TradeFunction").mkdir()
    (tmp_path / "TradeFunction" / "api.py").write_text("code")
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {}")
    return template


VALUES = {"EnvironmentSuffix": "dev", "DatabasePort": "3306"}


def test_a_release_changes_with_a_value_alone() -> None:
    assert release_digest("build", VALUES) != release_digest(
        "build", {**VALUES, "DatabasePort": "3307"}
    )
    assert release_digest("build", VALUES) == release_digest(
        "build", dict(reversed(VALUES.items()))
    )


def test_a_release_changes_with_the_build_alone() -> None:
    assert release_digest("build", VALUES) != release_digest("other", VALUES)


def test_a_build_changes_with_the_code_alone(built: Path) -> None:
    before = build_digest(built)
    (built.parent / "TradeFunction" / "api.py").write_text("edoc")
    assert build_digest(built) != before


def test_a_build_changes_with_the_name_of_a_file_alone(built: Path) -> None:
    before = build_digest(built)
    (built.parent / "TradeFunction" / "api.py").rename(built.parent / "TradeFunction" / "ap.py")
    assert build_digest(built) != before


def test_building_the_same_again_is_the_same_build(built: Path) -> None:
    before = build_digest(built)
    os.utime(built.parent / "TradeFunction" / "api.py", (1, 1))
    assert build_digest(built) == before


def test_parameters_of_the_template_can_be_given() -> None:
    assert service_parameters("") == {}
    assert service_parameters(
        'ApiAuthorization=NONE SnapStart="None" ApiAuthorization=AWS_IAM'
    ) == {
        "ApiAuthorization": "AWS_IAM",
        "SnapStart": "None",
    }


@pytest.mark.parametrize("text", ["Nonsense=1", "ApiAuthorization", "=1", "'unclosed"])
def test_what_is_no_parameter_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="SERVICE_PARAMETERS") as error:
        service_parameters(text)
    assert "\n" not in str(error.value)


def test_a_build_that_trusts_no_database_is_not_deployed(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "BUILT_TEMPLATE", built)
    with pytest.raises(UserError, match="RDS_CA_BUNDLE"):
        stack.deploy("us-east-1", "dev")


def test_what_is_not_built_is_not_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "BUILT_TEMPLATE", tmp_path / "template.yaml")
    with pytest.raises(UserError, match="make build-service"):
        stack.deploy("us-east-1", "dev")


def test_a_version_is_gone_back_to_in_one_region_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIONS", "us-east-1,us-west-2")
    monkeypatch.setenv("TO", "3")
    with pytest.raises(UserError, match="TO: each region counts its own versions"):
        stack.main(["rollback"])


def test_there_are_no_previews_beside_real_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "production")
    monkeypatch.setenv("SERVICE_STAGE", "pr-42")
    for command in ("deploy", "delete"):
        with pytest.raises(UserError, match="SERVICE_STAGE pr-42: there are no previews beside"):
            stack.main([command])


def test_a_release_that_the_stack_of_one_region_cannot_take_starts_in_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses = {"us-east-1": "UPDATE_COMPLETE", "us-west-2": "UPDATE_ROLLBACK_FAILED"}
    monkeypatch.setattr(stack_status, "stack_status", lambda _, region: statuses[region])
    monkeypatch.setattr(stack, "published_values", lambda *_: {})
    monkeypatch.setenv("REGIONS", "us-east-1,us-west-2")
    with pytest.raises(UserError, match="service-uswest2-dev is UPDATE_ROLLBACK_FAILED"):
        stack.main(["deploy"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["EnvironmentSuffix", "ServiceStage"])
def test_which_copy_is_released_is_no_matter_of_its_parameters(name: str) -> None:
    with pytest.raises(UserError, match=f"'{name}' is no parameter"):
        service_parameters(f"{name}=dev")


def test_a_preview_is_not_released_behind_a_proxy_that_would_not_let_it_in(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (built.parent / "TradeFunction" / "trading").mkdir()
    (built.parent / "TradeFunction" / "trading" / "rds-ca.pem").touch()
    values = {"DatabaseWriterEndpoint": "proxy.proxy-abc.us-east-1.rds.amazonaws.com"}
    monkeypatch.setattr(stack, "BUILT_TEMPLATE", built)
    monkeypatch.setattr(stack, "published_values", lambda *_: values)
    with pytest.raises(UserError, match="behind RDS Proxy"):
        stack.deploy("us-east-1", "dev", "pr-42")
