"""The pipelines' roles in the synthesized Terraform: whom they trust, and their rights."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from infra.commands import pipelines
from infra.config.environment import load_environment
from infra.config.naming import state_bucket_name, state_key_alias, state_lock_table_name
from infra.policies.statements import MAX_CHARACTERS
from infra.provider.bindings import App
from infra.stacks.pipelines import Pipelines
from shared.cli.errors import UserError
from shared.naming import ENVIRONMENT_SUFFIX_MAX
from tests.infra.conftest import ACCOUNT
from tests.support.emulator import Emulator
from tests.support.synthesized import REGIONS, Attributes, Stack

REPOSITORY = "acme/trading-platform"
ISSUER = "token.actions.githubusercontent.com"
REGION = "us-west-2"
PROVIDER_ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{ISSUER}"


def stack(folder: Path, *, makes_provider: bool = True, **variables: str) -> Stack:
    environment = load_environment({"CDKTF_OUTDIR": str(folder), **variables})
    app = App(outdir=str(folder))
    Pipelines(app, environment=environment, repository=REPOSITORY, makes_provider=makes_provider)
    app.synth()
    name = f"trading-platform-pipelines-{environment.suffix}"
    return Stack(json.loads((folder / "stacks" / name / "cdk.tf.json").read_text()))


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return stack(tmp_path_factory.mktemp("dev"), ENVIRONMENT_SUFFIX="dev")


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("production")
    return stack(folder, ENVIRONMENT_SUFFIX="production", REGIONS=",".join(REGIONS))


def subjects(role: Attributes) -> list[str]:
    """The jobs that may take a role; every other claim must be fixed."""
    (statement,) = json.loads(role["assume_role_policy"])["Statement"]
    conditions = statement["Condition"].pop("StringEquals")
    assert not statement.pop("Condition")
    assert statement.pop("Principal").keys() == {"Federated"}
    assert statement == {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity"}
    assert conditions.pop(f"{ISSUER}:aud") == "sts.amazonaws.com"
    found: list[str] = conditions.pop(f"{ISSUER}:sub")
    assert not conditions
    return found


def test_each_role_trusts_just_the_jobs_of_one_repository_that_it_is_for(dev: Stack) -> None:
    roles = {body["name"]: subjects(body) for body in dev.resources("aws_iam_role").values()}
    assert roles == {
        "trading-platform-dev-infra-deployer": [f"repo:{REPOSITORY}:environment:dev-infra"],
        "trading-platform-dev-service-deployer": [f"repo:{REPOSITORY}:environment:dev-service"],
        "trading-platform-dev-planner": [
            f"repo:{REPOSITORY}:pull_request",
            f"repo:{REPOSITORY}:ref:refs/heads/main",
        ],
        "trading-platform-dev-previewer": [
            f"repo:{REPOSITORY}:pull_request",
            f"repo:{REPOSITORY}:ref:refs/heads/main",
        ],
    }


def test_a_pull_request_can_do_nothing_to_production_but_plan(production: Stack) -> None:
    roles = {name: subjects(body) for name, body in production.resources("aws_iam_role").items()}
    assert [name for name, trusted in roles.items() if "pull_request" in str(trusted)] == [
        "planner"
    ]
    for name in ("infra", "service"):
        trusted = [f"repo:{REPOSITORY}:environment:production-{name}"]
        assert roles[f"{name}-deployer"] == trusted


def test_each_role_has_the_policies_of_every_region(production: Stack) -> None:
    attached: dict[str, set[str]] = {}
    for body in production.resources("aws_iam_role_policy_attachment").values():
        attached.setdefault(body["role"], set()).add(body["policy_arn"])
    assert {role.split(".")[1].partition("_")[0]: len(each) for role, each in attached.items()} == {
        "infra-deployer": 2 * len(REGIONS),
        "service-deployer": 2 * len(REGIONS),
        "planner": len(REGIONS),
    }
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    assert max(len(policies) for policies in attached.values()) <= 10


def test_roles_and_policies_are_where_no_policy_of_a_deployer_reaches(dev: Stack) -> None:
    made = [*dev.resources("aws_iam_role").values(), *dev.resources("aws_iam_policy").values()]
    assert {body["path"] for body in made} == {"/pipelines/"}


def test_names_and_policies_fit_with_the_longest_suffix(tmp_path: Path) -> None:
    found = stack(tmp_path, ENVIRONMENT_SUFFIX="x" * ENVIRONMENT_SUFFIX_MAX)
    for body in found.resources("aws_iam_role").values():
        assert len(body["name"]) <= 64
    for body in found.resources("aws_iam_policy").values():
        text = body["policy"].replace("${data.aws_caller_identity.account.account_id}", "1" * 12)
        assert len(json.dumps(json.loads(text), separators=(",", ":"))) <= MAX_CHARACTERS
        assert len(body["name"]) <= 128


def test_a_role_is_taken_for_no_longer_than_its_job_needs(dev: Stack) -> None:
    seconds = {n: b["max_session_duration"] for n, b in dev.resources("aws_iam_role").items()}
    assert seconds.pop("infra-deployer") == 7200
    assert set(seconds.values()) == {3600}


def test_an_account_that_knows_github_keeps_the_provider_it_has(dev: Stack, tmp_path: Path) -> None:
    provider = dev.only("aws_iam_openid_connect_provider")
    assert (provider["url"], provider["client_id_list"]) == (
        f"https://{ISSUER}",
        ["sts.amazonaws.com"],
    )
    other = stack(tmp_path, makes_provider=False)
    assert not other.resources("aws_iam_openid_connect_provider")
    (statement,) = json.loads(other.resources("aws_iam_role")["planner"]["assume_role_policy"])[
        "Statement"
    ]
    account = "${data.aws_caller_identity.account.account_id}"
    assert statement["Principal"]["Federated"] == PROVIDER_ARN.replace(ACCOUNT, account)


@pytest.mark.parametrize("name", ["acme/platform", "acme@1/trading.platform@22"])
def test_a_repository_is_named_as_tokens_name_it(name: str) -> None:
    assert pipelines.repository_name({"GITHUB_REPOSITORY": name}) == name


@pytest.mark.parametrize("name", ["", "acme", "acme/platform:*", "acme/*", "acme/a/b", "acme@/a"])
def test_a_name_that_is_no_single_repository_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UserError, match="give the repository as tokens name it"):
        pipelines.repository_name({"GITHUB_REPOSITORY": name})


def test_no_role_trusts_an_environment_that_github_would_make_for_any_branch(
    tmp_path: Path,
) -> None:
    for suffix in ("dev", "production"):
        pipelines.check_environments(suffix, {})
    with pytest.raises(UserError, match="no environment dev2-infra and no dev2-service"):
        pipelines.check_environments("dev2", {})
    own = tmp_path / "settings.toml"
    own.write_text("[environments.dev2-infra]\n[environments.dev2-service]\n")
    pipelines.check_environments("dev2", {"GITHUB_SETTINGS": str(own)})


@pytest.mark.parametrize("text", [None, "[environments"])
def test_settings_that_cannot_be_read_are_one_clear_line(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "settings.toml"
    if text:
        file.write_text(text)
    with pytest.raises(UserError, match=f"GITHUB_SETTINGS {file}: "):
        pipelines.check_environments("dev", {"GITHUB_SETTINGS": str(file)})


@contextmanager
def provider_of_github(aws: Emulator, audience: str, tag: Mapping[str, str]) -> Iterator[None]:
    iam = aws.client("iam")
    iam.create_open_id_connect_provider(
        Url=f"https://{ISSUER}", ClientIDList=[audience], Tags=[tag]
    )
    yield
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER_ARN)


OWN = {"Key": "Stack", "Value": "trading-platform-pipelines-dev"}
FOREIGN = {"Key": "Stack", "Value": "trading-platform-pipelines-qa"}


@pytest.mark.parametrize(("tag", "ours"), [(OWN, True), (FOREIGN, False)])
def test_a_provider_that_is_there_is_ours_only_if_this_stack_made_it(
    aws: Emulator, tag: Mapping[str, str], ours: bool
) -> None:
    environment = load_environment({})
    assert pipelines.makes_provider(environment)
    with provider_of_github(aws, "sts.amazonaws.com", tag):
        assert pipelines.makes_provider(environment) == ours


def test_a_provider_that_takes_no_tokens_for_aws_is_one_clear_line(aws: Emulator) -> None:
    with (
        provider_of_github(aws, "https://github.com/acme", FOREIGN),
        pytest.raises(UserError, match=r"is not for sts\.amazonaws\.com: add that"),
    ):
        pipelines.makes_provider(load_environment({}))


@pytest.fixture
def state_backend(aws: Emulator) -> Iterator[None]:
    """The parts of a state backend that Terraform uses, in a separate region."""
    s3, kms, dynamodb = (
        boto3.client(service, region_name=REGION)  # type: ignore[call-overload]
        for service in ("s3", "kms", "dynamodb")
    )
    bucket = state_bucket_name(REGION, ACCOUNT)
    table = state_lock_table_name(REGION)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=state_key_alias(REGION), TargetKeyId=key)
    dynamodb.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    role = {
        "op": "replace",
        "path": "/cloudwatchRoleArn",
        "value": f"arn:aws:iam::{ACCOUNT}:role/x",
    }
    aws.client("apigateway", REGION).update_account(patchOperations=[role])
    yield
    for each in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=each["Key"])
    s3.delete_bucket(Bucket=bucket)
    kms.delete_alias(AliasName=state_key_alias(REGION))
    dynamodb.delete_table(TableName=table)


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aws: Emulator) -> None:
    monkeypatch.setenv("CDKTF_OUTDIR", str(tmp_path / "out"))
    monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
    monkeypatch.setenv("ENVIRONMENT_SUFFIX", "dev")
    monkeypatch.setenv("REGIONS", REGION)


def test_the_roles_are_made_once_and_stay_as_they_are(
    aws: Emulator,
    state_backend: None,
    variables: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STATE", "s3")
    pipelines.main()
    assert "infra_deployer_role_arn" in capfd.readouterr().out
    pipelines.main()
    assert "0 added, 0 changed, 0 destroyed" in capfd.readouterr().out
    assert len(aws.client("iam").list_roles(PathPrefix="/pipelines/")["Roles"]) == 4


def test_a_terraform_that_fails_is_named_with_the_stack(
    variables: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CLI_ARGS_init", "-no-such-option")
    with pytest.raises(UserError, match="init failed for trading-platform-pipelines-dev"):
        pipelines.main()
