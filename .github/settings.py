"""Applies the repository's settings on GitHub from `settings.toml`, or compares them.

    python3 .github/settings.py apply|check

`GITHUB_REPOSITORY` is owner/name, and `GH_TOKEN` a token that may administer it.
https://docs.github.com/en/rest/branches/branch-protection
https://docs.github.com/en/rest/deployments/environments
https://docs.github.com/en/rest/deployments/branch-policies
https://docs.github.com/en/rest/actions/permissions

`GITHUB_SETTINGS` names another file than the one beside this program.
"""

import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from api import call, repository_url

_SETTINGS = Path(__file__).with_name("settings.toml")
_NOT_FOUND = 404
_BY_HAND = "docs/how-to/set-up-pipelines.md says where"

# A workflow's token reads, unless a job asks for more, and approves no pull request.
_TOKENS = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": False}
# A fork of a private repository could ask for the token that a role for pull requests trusts.
# GitHub has these settings for private repositories only. A public one's forks never get one.
_FORKS = {
    "run_workflows_from_fork_pull_requests": False,
    "send_write_tokens_to_workflows": False,
    "send_secrets_and_variables": False,
    "require_approval_for_fork_pr_workflows": False,
}
_ONE_BRANCH = {"protected_branches": False, "custom_branch_policies": True}
_FLAGS = ("enforce_admins", "allow_force_pushes", "allow_deletions")


class Settings:
    """The settings of one repository: as the file wants them, and as GitHub has them."""

    def __init__(self, wanted: Mapping[str, Any], variables: Mapping[str, str]) -> None:
        self._branch: Mapping[str, Any] = wanted["branch"]
        self._environments: Mapping[str, Any] = wanted["environments"]
        self._token = variables["GH_TOKEN"]
        self._api = variables["GITHUB_API_URL"]
        self._organization = variables["GITHUB_REPOSITORY"].partition("/")[0]
        self._url = repository_url(variables)

    def apply(self) -> None:
        """Set everything that GitHub's API can set.

        Raises:
            HTTPError: GitHub does not know the repository or a team, or refuses the token.
        """
        self._call("PUT", self._protection_url, self._protection())
        self._call("PUT", f"{self._url}/actions/permissions/workflow", _TOKENS)
        if self._forks() != _FORKS:
            self._call("PUT", self._forks_url, _FORKS)
        for name, environment in self._environments.items():
            url = f"{self._url}/environments/{name}"
            reviewers = [{"type": "Team", "id": self._team(t)} for t in environment["reviewers"]]
            body = {
                "wait_timer": 0,
                "prevent_self_review": bool(reviewers),
                "reviewers": reviewers,
                "deployment_branch_policy": _ONE_BRANCH,
            }
            self._call("PUT", url, body)
            branches = self._branches(name)
            if self._branch["name"] not in branches:
                policy = {"name": self._branch["name"], "type": "branch"}
                self._call("POST", f"{url}/deployment-branch-policies", policy)
            for branch, number in branches.items():
                if branch != self._branch["name"]:
                    self._call("DELETE", f"{url}/deployment-branch-policies/{number}")

    def differences(self) -> Iterator[str]:
        """What GitHub has otherwise than the file wants, one line each.

        Raises:
            HTTPError: GitHub does not know the repository, or refuses the token.
        """
        protection = _protection_of(self._read(self._protection_url))
        yield from _different(f"branch {self._branch['name']}", self._protection(), protection)
        tokens = self._read(f"{self._url}/actions/permissions/workflow")
        yield from _different("workflows", _TOKENS, tokens)
        yield from _different("workflows of forks", _FORKS, self._forks())
        for name, environment in self._environments.items():
            found = self._read(f"{self._url}/environments/{name}")
            if not found:
                yield f"environment {name}: it does not exist"
                continue
            wanted = {
                "prevent_self_review": bool(environment["reviewers"]),
                "reviewers": sorted(environment["reviewers"]),
                "branches": [self._branch["name"]],
            }
            rules = _environment_of(found)
            rules["branches"] = sorted(self._branches(name)) if rules.pop("limited") else ["any"]
            yield from _different(f"environment {name}", wanted, rules)
            if environment["reviewers"] and found.get("can_admins_bypass", True):
                yield f"environment {name}: administrators can bypass its rules; {_BY_HAND}"

    @property
    def _protection_url(self) -> str:
        return f"{self._url}/branches/{self._branch['name']}/protection"

    @property
    def _forks_url(self) -> str:
        return f"{self._url}/actions/permissions/fork-pr-workflows-private-repos"

    def _forks(self) -> Mapping[str, bool]:
        """What GitHub gives workflows of forks; what is wanted if the repository is public."""
        if not self._read(self._url).get("private"):
            return _FORKS
        found = self._read(self._forks_url)
        return {name: found.get(name, True) for name in _FORKS}

    def _protection(self) -> dict[str, Any]:
        """The protection of the branch, as the API takes it: nobody pushes or approves alone."""
        return {
            "required_status_checks": {
                "strict": False,
                "checks": [{"context": check} for check in self._branch["checks"]],
            },
            "enforce_admins": True,
            "required_pull_request_reviews": {
                "dismiss_stale_reviews": True,
                "require_code_owner_reviews": True,
                "require_last_push_approval": True,
                "required_approving_review_count": self._branch["approvals"],
            },
            "restrictions": None,
            "allow_force_pushes": False,
            "allow_deletions": False,
        }

    def _team(self, slug: str) -> int:
        team = self._call("GET", f"{self._api}/orgs/{self._organization}/teams/{slug}")
        return int(team["id"])

    def _branches(self, environment: str) -> dict[str, int]:
        """The patterns of branches and tags that an environment admits, with their numbers.

        A tag can have the name of the branch. Anyone who may push can make it of any commit.
        """
        url = f"{self._url}/environments/{environment}/deployment-branch-policies?per_page=100"
        found = self._call("GET", url)["branch_policies"]
        return {
            ("the tag " if policy["type"] == "tag" else "") + policy["name"]: policy["id"]
            for policy in found
        }

    def _read(self, url: str) -> Any:
        """The document at a URL; empty if there is none."""
        try:
            return self._call("GET", url)
        except HTTPError as error:
            if error.code == _NOT_FOUND:
                return {}
            raise

    def _call(self, method: str, url: str, body: object = None) -> Any:
        return call(method, url, self._token, body)


def _protection_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """A branch's protection as GitHub answers it, in the form that it is set in."""
    checks = document.get("required_status_checks") or {"strict": False, "checks": []}
    reviews = document.get("required_pull_request_reviews", {})
    return {
        "required_status_checks": {
            "strict": checks["strict"],
            "checks": [{"context": check["context"]} for check in checks["checks"]],
        },
        "required_pull_request_reviews": {
            # Those who are listed here merge without a review.
            name: value
            for name, value in reviews.items()
            if name not in ("url", "dismissal_restrictions")
        },
        "restrictions": document.get("restrictions"),
        **{flag: document.get(flag, {}).get("enabled", False) for flag in _FLAGS},
    }


def _environment_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The rules of an environment as GitHub answers it."""
    found: dict[str, Any] = {
        "prevent_self_review": False,
        "reviewers": [],
        "limited": document.get("deployment_branch_policy") == _ONE_BRANCH,
    }
    for rule in document.get("protection_rules", []):
        if rule["type"] == "required_reviewers":
            found["prevent_self_review"] = rule["prevent_self_review"]
            found["reviewers"] = sorted(
                each["reviewer"].get("slug") or each["reviewer"]["login"]
                for each in rule["reviewers"]
            )
    return found


def _different(what: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            yield f"{what}: {name} is {found.get(name)!r} and must be {wanted.get(name)!r}"


def main(command: str, variables: Mapping[str, str]) -> int:
    """Apply or compare; the exit status."""
    given = {"GITHUB_API_URL": "https://api.github.com", **variables}
    if not given.get("GH_TOKEN") or not re.fullmatch(
        "[^/@]+/[^/@]+", given.get("GITHUB_REPOSITORY", "")
    ):
        print("error: set GITHUB_REPOSITORY=owner/name and, before make, GH_TOKEN", file=sys.stderr)
        return 2
    file = Path(given.get("GITHUB_SETTINGS") or _SETTINGS)
    try:
        wanted = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        print(f"error: GITHUB_SETTINGS {file}: {error}", file=sys.stderr)
        return 2
    settings = Settings(wanted, given)
    try:
        if command == "apply":
            settings.apply()
        different = list(settings.differences())
    except HTTPError as error:
        print(f"error: GitHub refuses {error.url}: {error}", file=sys.stderr)
        return 1
    # Also a connection that ends, or an answer that takes too long.
    except OSError as error:
        print(f"error: GitHub does not answer: {getattr(error, 'reason', error)}", file=sys.stderr)
        return 1
    print("\n".join(different or [f"GitHub has the settings of {file.name}"]))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], os.environ))
