"""The repository's settings on GitHub: nobody brings a change to production alone."""

import os
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator

import pytest

from tests.support.github_settings import Repository, github_settings
from tests.support.workflows import FOLDER, jobs

SETTINGS = tomllib.loads((FOLDER / "settings.toml").read_text())
PRODUCTION = ("production-infra", "production-service")


@pytest.fixture
def github() -> Iterator[Repository]:
    with github_settings() as api:
        yield api


def run(github: Repository, command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, FOLDER / "settings.py", command],
        env={**os.environ, **github.env, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def differences(github: Repository) -> list[str]:
    finished = run(github, "check")
    assert not finished.stderr
    lines = finished.stdout.splitlines()
    assert finished.returncode == (0 if lines[0].startswith("GitHub has") else 1)
    return lines


def applied(github: Repository) -> None:
    github.admins_bypass = False
    finished = run(github, "apply")
    assert (finished.returncode, finished.stderr) == (0, "")


def test_after_it_is_applied_main_takes_no_change_that_one_person_made_alone(
    github: Repository,
) -> None:
    applied(github)
    protection = github.protected("main")
    reviews = protection["required_pull_request_reviews"]
    assert reviews["required_approving_review_count"] >= 1
    assert reviews["require_code_owner_reviews"]
    # Who pushed last cannot be the one who approves, and a push takes approvals back.
    assert reviews["require_last_push_approval"]
    assert reviews["dismiss_stale_reviews"]
    assert protection["enforce_admins"]["enabled"]
    assert not protection["allow_force_pushes"]["enabled"]
    assert not protection["allow_deletions"]["enabled"]
    # No workflow's token approves a pull request in a person's place.
    assert github.tokens == {
        "default_workflow_permissions": "read",
        "can_approve_pull_request_reviews": False,
    }


def test_after_it_is_applied_nobody_approves_their_own_deployment_to_production(
    github: Repository,
) -> None:
    applied(github)
    for name, team in zip(PRODUCTION, ("platform-team", "app-team"), strict=True):
        found = github.environment(name)
        (rule,) = [r for r in found["protection_rules"] if r["type"] == "required_reviewers"]
        assert rule["prevent_self_review"]
        assert [each["reviewer"]["slug"] for each in rule["reviewers"]] == [team]
    # AWS sees the environment's name alone: GitHub must keep other branches out of it.
    for name in github.environments:
        assert [each["name"] for each in github.policies[name].values()] == ["main"]


def test_every_environment_of_the_workflows_is_set_and_the_required_jobs_exist() -> None:
    every = jobs()
    used = {str(job.body["environment"]) for job in every if "environment" in job.body}
    assert used == set(SETTINGS["environments"])
    of_checks = {str(job).partition("/")[2] for job in every if str(job).startswith("checks/")}
    assert set(SETTINGS["branch"]["checks"]) <= of_checks


def test_what_is_applied_has_no_differences_and_applying_again_changes_nothing(
    github: Repository,
) -> None:
    assert differences(github) != []
    applied(github)
    assert differences(github) == ["GitHub has the settings of settings.toml"]
    before = (github.protection, github.environments, github.policies)
    applied(github)
    assert (github.protection, github.environments, github.policies) == before


def test_a_public_repository_has_no_settings_for_tokens_of_forks(github: Repository) -> None:
    github.private = False
    applied(github)
    assert differences(github) == ["GitHub has the settings of settings.toml"]


def weaken_reviews(github: Repository) -> None:
    reviews = github.protection["main"]["required_pull_request_reviews"]
    reviews["require_code_owner_reviews"] = False


def let_somebody_bypass(github: Repository) -> None:
    reviews = github.protection["main"]["required_pull_request_reviews"]
    reviews["bypass_pull_request_allowances"] = {"users": [{"login": "mallory"}]}


def unprotect(github: Repository) -> None:
    github.protection.clear()


def free_administrators(github: Repository) -> None:
    github.protection["main"]["enforce_admins"] = False


def admit_own_approval(github: Repository) -> None:
    github.environments["production-infra"]["prevent_self_review"] = False


def let_the_other_team_approve(github: Repository) -> None:
    github.environments["production-infra"]["reviewers"] = [{"type": "Team", "id": 12}]


def admit_another_branch(github: Repository) -> None:
    github.add_policy("production-infra", {"name": "feature/*", "type": "branch"})


def admit_a_tag_of_the_same_name(github: Repository) -> None:
    github.add_policy("dev-infra", {"name": "main", "type": "tag"})


def admit_every_branch(github: Repository) -> None:
    github.environments["production-service"]["deployment_branch_policy"] = None


def remove_an_environment(github: Repository) -> None:
    del github.environments["production-service"]


def let_workflows_approve(github: Repository) -> None:
    github.tokens = {**github.tokens, "can_approve_pull_request_reviews": True}


def send_tokens_to_forks(github: Repository) -> None:
    github.forks = {**github.forks, "send_write_tokens_to_workflows": True}


def let_administrators_bypass_rules(github: Repository) -> None:
    github.admins_bypass = True


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (weaken_reviews, "branch main: required_pull_request_reviews is"),
        (let_somebody_bypass, "branch main: required_pull_request_reviews is"),
        (unprotect, "branch main: required_status_checks is"),
        (free_administrators, "branch main: enforce_admins is False and must be True"),
        (admit_own_approval, "environment production-infra: prevent_self_review is False"),
        (let_the_other_team_approve, "environment production-infra: reviewers is ['app-team']"),
        (admit_another_branch, "environment production-infra: branches is ['feature/*', 'main']"),
        (
            admit_a_tag_of_the_same_name,
            "environment dev-infra: branches is ['main', 'the tag main']",
        ),
        (admit_every_branch, "environment production-service: branches is ['any']"),
        (remove_an_environment, "environment production-service: it does not exist"),
        (let_workflows_approve, "workflows: can_approve_pull_request_reviews is True"),
        (
            send_tokens_to_forks,
            "workflows of forks: send_write_tokens_to_workflows is True and must be False",
        ),
        (let_administrators_bypass_rules, "production-infra: administrators can bypass its rules"),
    ],
)
def test_weakened_settings_are_named_and_restored_as_far_as_the_api_can(
    github: Repository, change: Callable[[Repository], None], said: str
) -> None:
    applied(github)
    change(github)
    assert any(said in line for line in differences(github))
    finished = run(github, "apply")
    by_hand = change is let_administrators_bypass_rules
    assert (finished.returncode != 0) == by_hand
    assert ("administrators can bypass" in finished.stdout) == by_hand


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"GH_TOKEN": ""}, "error: set GITHUB_REPOSITORY=owner/name and, before make, GH_TOKEN"),
        ({"GITHUB_REPOSITORY": "a@1/b@2"}, "error: set GITHUB_REPOSITORY=owner/name"),
        ({"GH_TOKEN": "of-somebody"}, "HTTP Error 401"),
        ({"GITHUB_API_URL": "http://127.0.0.1:1"}, "error: GitHub does not answer"),
        ({"GITHUB_SETTINGS": "/there/is/none"}, "error: GITHUB_SETTINGS /there/is/none: "),
    ],
)
def test_a_missing_or_refused_setting_is_one_line(
    github: Repository, env: dict[str, str], said: str
) -> None:
    for command in ("apply", "check"):
        finished = run(github, command, **env)
        assert finished.returncode != 0
        assert re.fullmatch(f".*{re.escape(said)}.*\n", finished.stderr)


def test_a_connection_that_ends_without_an_answer_is_one_line(github: Repository) -> None:
    def hang_up() -> None:
        server.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up).start()
        finished = run(
            github, "check", GITHUB_API_URL=f"http://127.0.0.1:{server.getsockname()[1]}"
        )
    assert finished.returncode == 1
    assert re.fullmatch("error: GitHub does not answer: .+\n", finished.stderr)


OWNERS = (FOLDER / "CODEOWNERS").read_text().splitlines()


def owners(path: str) -> list[str]:
    """Whom the last line of CODEOWNERS that matches a path names."""
    found: list[str] = []
    for line in OWNERS:
        if line and not line.startswith("#"):
            pattern, *named = line.split()
            folder = pattern.endswith("/") and path.startswith(pattern)
            if pattern == "*" or folder or re.fullmatch(pattern.replace("*", "[^/]*"), path):
                found = named
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/infra/policies/service_boundary.py",
        "/.github/CODEOWNERS",
        "/.github/settings.toml",
        "/.github/actions/sign-in/action.yml",
        "/.github/workflows/infra.yml",
        # Any job may take the role of dev's infra deployer, whatever workflow it is in.
        *(f"/.github/workflows/{path.name}" for path in (FOLDER / "workflows").iterdir()),
        "/.github/workflows/new.yml",
        # Python would import these in the place of packages.
        "/boto3.py",
        "/yaml/__init__.py",
        "/pyproject.toml",
        "/Makefile",
        "/local/prerequisites.sh",
        "/requirements/bootstrap.txt",
        "/requirements/infra.txt",
    ],
)
def test_the_platform_team_reviews_what_runs_with_the_widest_role(path: str) -> None:
    assert owners(path) == ["@trading/platform-team"]


@pytest.mark.parametrize(
    "path", ["/README.md", "/docs/index.md", "/local/platform.py", "/shared/naming.py"]
)
def test_either_team_reviews_what_both_share(path: str) -> None:
    assert owners(path) == ["@trading/platform-team", "@trading/app-team"]


@pytest.mark.parametrize("path", ["/service/template.yaml", "/requirements/service.txt"])
def test_the_app_team_reviews_the_service(path: str) -> None:
    assert owners(path) == ["@trading/app-team"]
