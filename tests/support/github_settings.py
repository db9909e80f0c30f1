"""GitHub's API for settings of a repository, as strict about requests as its documentation.

https://docs.github.com/en/rest/branches/branch-protection#update-branch-protection
https://docs.github.com/en/rest/deployments/environments#create-or-update-an-environment
https://docs.github.com/en/rest/deployments/branch-policies
https://docs.github.com/en/rest/teams/teams#get-a-team-by-name
https://docs.github.com/en/rest/actions/permissions#set-default-workflow-permissions-for-a-repository
https://docs.github.com/en/rest/actions/permissions#set-private-repo-fork-pr-workflow-settings-for-a-repository
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = "/repos/trading/platform"
TOKEN = "token-of-an-administrator"
MOST_REVIEWERS = 6
FLAGS = {"enforce_admins", "allow_force_pushes", "allow_deletions"}
OPTIONAL_FLAGS = {"required_linear_history", "block_creations", "lock_branch"}


class Refused(Exception):
    """GitHub refuses a request with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def require(condition: object, status: int = 422) -> None:
    if not condition:
        raise Refused(status)


@dataclass
class Repository:
    """The settings of trading/platform, and a server that keeps them."""

    url: str = ""
    teams: dict[str, int] = field(default_factory=lambda: {"platform-team": 11, "app-team": 12})
    protection: dict[str, dict[str, Any]] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[int, dict[str, str]]] = field(default_factory=dict)
    tokens: dict[str, Any] = field(
        default_factory=lambda: {
            "default_workflow_permissions": "write",
            "can_approve_pull_request_reviews": True,
        }
    )
    private: bool = True
    forks: dict[str, bool] = field(
        default_factory=lambda: {
            "run_workflows_from_fork_pull_requests": True,
            "send_write_tokens_to_workflows": True,
            "send_secrets_and_variables": False,
            "require_approval_for_fork_pr_workflows": False,
        }
    )
    admins_bypass: bool = True

    @property
    def env(self) -> dict[str, str]:
        return {
            "GITHUB_API_URL": self.url,
            "GITHUB_REPOSITORY": "trading/platform",
            "GH_TOKEN": TOKEN,
        }

    def protect(self, branch: str, body: dict[str, Any]) -> dict[str, Any]:
        needed = {
            "required_status_checks",
            "enforce_admins",
            "required_pull_request_reviews",
            "restrictions",
        }
        require(needed <= body.keys() <= needed | FLAGS | OPTIONAL_FLAGS)
        require(isinstance(body["enforce_admins"], bool))
        checks, reviews = body["required_status_checks"], body["required_pull_request_reviews"]
        require(checks.keys() == {"strict", "checks"} and isinstance(checks["strict"], bool))
        for check in checks["checks"]:
            require(check.keys() == {"context"} and isinstance(check["context"], str))
        count = reviews.pop("required_approving_review_count")
        require(type(count) is int and 0 <= count <= 6)
        known = {"dismiss_stale_reviews", "require_code_owner_reviews"}
        require(reviews.keys() == known | {"require_last_push_approval"})
        require(all(isinstance(value, bool) for value in reviews.values()))
        reviews["required_approving_review_count"] = count
        self.protection[branch] = body
        return self.protected(branch)

    def protected(self, branch: str) -> dict[str, Any]:
        require(branch in self.protection, 404)
        body = self.protection[branch]
        address = f"{self.url}{REPOSITORY}/branches/{branch}/protection"
        checks = body["required_status_checks"]
        answer = {
            "url": address,
            "required_status_checks": {
                "url": f"{address}/required_status_checks",
                "strict": checks["strict"],
                "contexts": [check["context"] for check in checks["checks"]],
                "checks": [{**check, "app_id": None} for check in checks["checks"]],
            },
            "required_pull_request_reviews": {
                "url": f"{address}/required_pull_request_reviews",
                **body["required_pull_request_reviews"],
            },
            **{
                flag: {"enabled": body.get(flag, False)}
                for flag in FLAGS | OPTIONAL_FLAGS | {"required_conversation_resolution"}
            },
        }
        if body["restrictions"] is not None:
            answer["restrictions"] = body["restrictions"]
        return answer

    def set_environment(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        known = {"wait_timer", "prevent_self_review", "reviewers", "deployment_branch_policy"}
        require(body.keys() <= known)
        require(type(body["wait_timer"]) is int and isinstance(body["prevent_self_review"], bool))
        require(len(body["reviewers"]) <= MOST_REVIEWERS)
        for reviewer in body["reviewers"]:
            require(reviewer.keys() == {"type", "id"} and reviewer["type"] in ("User", "Team"))
            require(reviewer["id"] in self.teams.values())
        policy = body["deployment_branch_policy"]
        if policy is not None:
            require(policy.keys() == {"protected_branches", "custom_branch_policies"})
            # Both cannot have the same value.
            require(policy["protected_branches"] is not policy["custom_branch_policies"])
        self.environments[name] = body
        self.policies.setdefault(name, {})
        return self.environment(name)

    def environment(self, name: str) -> dict[str, Any]:
        require(name in self.environments, 404)
        body = self.environments[name]
        slugs = {number: slug for slug, number in self.teams.items()}
        rules: list[dict[str, Any]] = []
        if body["reviewers"]:
            rules.append(
                {
                    "id": 1,
                    "type": "required_reviewers",
                    "prevent_self_review": body["prevent_self_review"],
                    "reviewers": [
                        {"type": r["type"], "reviewer": {"id": r["id"], "slug": slugs[r["id"]]}}
                        for r in body["reviewers"]
                    ],
                }
            )
        if body["deployment_branch_policy"]:
            rules.append({"id": 2, "type": "branch_policy"})
        return {
            "id": 56780428,
            "name": name,
            "can_admins_bypass": self.admins_bypass,
            "protection_rules": rules,
            "deployment_branch_policy": body["deployment_branch_policy"],
        }

    def add_policy(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        policy = self.environments[name]["deployment_branch_policy"]
        require(policy and policy["custom_branch_policies"], 404)
        require(body.keys() == {"name", "type"} and body["type"] in ("branch", "tag"))
        number = max(self.policies[name], default=0) + 1
        self.policies[name][number] = body
        return {"id": number, **body}

    def list_policies(self, name: str) -> dict[str, Any]:
        require(name in self.environments, 404)
        listed = [{"id": number, **each} for number, each in self.policies[name].items()]
        return {"total_count": len(listed), "branch_policies": listed}

    def set_tokens(self, body: dict[str, Any]) -> None:
        require(body.keys() == self.tokens.keys())
        require(body["default_workflow_permissions"] in ("read", "write"))
        self.tokens = body

    def set_forks(self, body: dict[str, bool]) -> None:
        require(self.private, 404)
        require(body.keys() == self.forks.keys())
        require(all(isinstance(value, bool) for value in body.values()))
        self.forks = body

    def answer(self, method: str, path: str, body: Any) -> Any:
        """The answer's document, or None for an answer without one."""
        match [method, *path.strip("/").split("/")]:
            case ["GET", "orgs", "trading", "teams", slug]:
                require(slug in self.teams, 404)
                return {"id": self.teams[slug], "slug": slug}
            case [_, "repos", "trading", "platform", *rest]:
                return self._in_repository(method, rest, body)
        raise Refused(404)

    def _in_repository(self, method: str, rest: list[str], body: Any) -> Any:
        answer: Any = None
        match [method, *rest]:
            case ["GET"]:
                answer = {"full_name": "trading/platform", "private": self.private}
            case ["GET", "branches", branch, "protection"]:
                answer = self.protected(branch)
            case ["PUT", "branches", branch, "protection"]:
                answer = self.protect(branch, body)
            case ["GET", "environments", name]:
                answer = self.environment(name)
            case ["PUT", "environments", name]:
                answer = self.set_environment(name, body)
            case ["GET", "environments", name, "deployment-branch-policies"]:
                answer = self.list_policies(name)
            case ["POST", "environments", name, "deployment-branch-policies"]:
                answer = self.add_policy(name, body)
            case ["DELETE", "environments", name, "deployment-branch-policies", number]:
                del self.policies[name][int(number)]
            case [_, "actions", "permissions", kind]:
                answer = self._of_actions(method, kind, body)
            case _:
                raise Refused(404)
        return answer

    def _of_actions(self, method: str, kind: str, body: Any) -> Any:
        match method, kind:
            case "GET", "workflow":
                return self.tokens
            case "PUT", "workflow":
                self.set_tokens(body)
            case "GET", "fork-pr-workflows-private-repos":
                require(self.private, 404)
                return self.forks
            case "PUT", "fork-pr-workflows-private-repos":
                self.set_forks(body)
            case _:
                raise Refused(404)
        return None


@contextmanager
def github_settings() -> Iterator[Repository]:
    """Serve the API as long as the context lasts."""
    state = Repository()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state.answer))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield state
    server.shutdown()
    server.server_close()


def _handler(answer: Callable[[str, str, Any], Any]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self._serve
            raise AttributeError(name)

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            try:
                require(self.headers["Authorization"] == f"Bearer {TOKEN}", 401)
                require(self.headers["Accept"] == "application/vnd.github+json", 415)
                document = answer(self.command, urlsplit(self.path).path, body)
                status = 204 if document is None else 200
            except Refused as refusal:
                document, status = {"message": "refused"}, refusal.status
            self.send_response(status)
            self.end_headers()
            if document is not None:
                self.wfile.write(json.dumps(document).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler
