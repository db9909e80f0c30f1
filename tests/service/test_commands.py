"""What the release tool refuses before SAM starts; tests/platform runs whole releases."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from service.deploy import stack_status
from service.deploy.build import build_digest, built_template, release_digest
from service.deploy.commands import main
from service.deploy.release import attempt_digest
from service.deploy.sam import check_config
from shared.cli.errors import UserError
from shared.contract.loader import Contract
from shared.contract.published import Reading

VALUES = {"EnvironmentSuffix": "dev", "DatabasePort": "3306"}
Publish = Callable[..., None]


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build that can be released."""
    monkeypatch.setenv("BUILD_DIR", str(tmp_path))
    template = built_template(os.environ)
    trusted = template.parent / "TradeFunction" / "trading" / "rds-ca.pem"
    trusted.parent.mkdir(parents=True)
    trusted.touch()
    (template.parent / "TradeFunction" / "api.py").write_text("code")
    template.write_text("Resources: {}")
    return template


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Has every data platform publish these values."""

    def publish(*, production: bool = False, proxied: bool = False) -> None:
        values = {
            "Production": str(production).lower(),
            "DatabaseProxied": str(proxied).lower(),
            "KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1",
        }

        def read(_template: Path, _contract: Contract, _environment: str, _region: str) -> Reading:
            return Reading("1.2.0", values, [])

        monkeypatch.setattr("service.deploy.platform.accepted_values", read)

    return publish


def run(command: str, monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    main([command])


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


def test_each_attempt_to_release_the_same_is_another_release() -> None:
    content = release_digest("build", VALUES)
    one, other = attempt_digest(content, ""), attempt_digest(content, "")
    assert one != other
    assert one.isalnum()


def test_what_is_deployed_keeps_its_digest() -> None:
    content = release_digest("build", VALUES)
    deployed = attempt_digest(content, "")
    assert attempt_digest(content, deployed) == deployed
    assert attempt_digest(release_digest("other", VALUES), deployed) != deployed


def test_a_build_that_trusts_no_database_is_not_deployed(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (built.parent / "TradeFunction" / "trading" / "rds-ca.pem").unlink()
    with pytest.raises(UserError, match="RDS_CA_BUNDLE"):
        run("deploy", monkeypatch, {})


def test_what_is_not_built_is_not_deployed(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built.unlink()
    with pytest.raises(UserError, match="make build-service"):
        run("deploy", monkeypatch, {})


def test_a_rollback_goes_through_one_region_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="TO: each region counts its own versions"):
        run("rollback", monkeypatch, {"REGIONS": "us-east-1,us-west-2", "TO": "3"})


@pytest.mark.parametrize("environment", ["production", "live"])
def test_an_environment_is_production_for_what_is_published_alone(
    built: Path, published: Publish, monkeypatch: pytest.MonkeyPatch, environment: str
) -> None:
    variables = {"ENVIRONMENT_SUFFIX": environment, "SERVICE_STAGE": "pr-42"}
    published(production=True)
    with pytest.raises(UserError, match="previews are not allowed in production"):
        run("deploy", monkeypatch, variables)
    published(proxied=True)
    with pytest.raises(UserError, match="behind RDS Proxy"):
        run("deploy", monkeypatch, variables)


def test_a_release_that_the_stack_of_one_region_cannot_take_starts_in_none(
    built: Path,
    published: Publish,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    statuses = {"us-east-1": "UPDATE_COMPLETE", "us-west-2": "UPDATE_ROLLBACK_FAILED"}
    monkeypatch.setattr(stack_status, "stack_status", lambda _, region: statuses[region])
    published()
    with pytest.raises(UserError, match="service-uswest2-dev is UPDATE_ROLLBACK_FAILED"):
        run("deploy", monkeypatch, {"REGIONS": "us-east-1,us-west-2"})
    assert capsys.readouterr().out == ""


def test_the_apis_own_account_is_not_named_among_its_callers(
    built: Path, published: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    published()
    monkeypatch.setattr(stack_status, "stack_status", lambda *_: "UPDATE_IN_PROGRESS")
    for accounts, complaint in (
        ("111122223333,123456789012", "CallerAccounts 123456789012: remove it"),
        ("111122223333", "UPDATE_IN_PROGRESS"),
    ):
        with pytest.raises(UserError, match=complaint):
            run("deploy", monkeypatch, {"SERVICE_PARAMETERS": f"CallerAccounts={accounts}"})


def test_a_release_waits_for_the_migrations(tmp_path: Path) -> None:
    check_config()
    config = tmp_path / "samconfig.toml"
    config.write_text("version = 0.1\n[default.deploy.parameters]\nexpress = true\n")
    with pytest.raises(UserError, match=r"\[default.deploy.parameters\] express: remove it"):
        check_config(config)
