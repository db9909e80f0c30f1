"""The jobs of the workflows, step by step, each with the rights of the role that it takes."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.config.environment import load_environment
from infra.config.place import Place
from infra.policies.catalogue import POLICIES
from infra.stacks.pipelines import pipeline_roles
from tests.platform.conftest import REGION, ROOT, Platform
from tests.platform.test_least_privilege import ACCOUNT
from tests.support.github import GitHub, github_api
from tests.support.workflows import Job, jobs

# The jobs that run here, in this order.
HERE = (
    "checks/contract",
    "infra/plan",
    "infra/plan-production",
    "service/deploy-dev",
    "preview/deploy",
    "preview-sweep/sweep",
    "preview-cleanup/destroy",
    "drift/drift",
)
# The others, and what makes their targets. That production's are dev's is shown elsewhere.
ELSEWHERE = {
    "checks/audit": "tests/security/test_audit.py",
    "checks/check": ".ci/run",
    "checks/lint": ".ci/run",
    "checks/test": ".ci/run",
    "infra/deploy-dev": "tests/platform/test_local_platform.py",
    "infra/deploy-production": "tests/platform/test_local_platform.py",
    "service/deploy-production": "tests/platform/test_least_privilege.py",
}
JOBS = {str(job): job for job in jobs()}
# What the expressions of those jobs stand for.
VALUES = {
    "github.event.number": "7",
    "github.event.pull_request.base.sha || github.event.merge_group.base_sha"
    " || github.event.before": "HEAD",
    "github.token": "token-of-the-job",
    "matrix.environment": "test",
    "matrix.regions": REGION,
    "vars.REGIONS_DEV || 'us-east-1'": REGION,
    "vars.REGIONS_PREVIEW || 'us-east-1'": REGION,
    "vars.REGIONS_PRODUCTION || 'us-east-1'": REGION,
}


class Runner:
    """Runs the scripts of jobs as GitHub's runners do, but each just once in an environment."""

    def __init__(self, platform: Platform, github: GitHub, folder: Path) -> None:
        self.platform = platform
        self._github = github
        self._folder = folder
        self._done: dict[str, str] = {}
        self.summary = folder / "summary.md"

    def run(self, job: Job) -> str:
        """Run a job; what it printed."""
        env = {
            **self._signed_in(job.role.partition("-")[2] or "nobody"),
            **self._github.env,
            "RUNNER_TEMP": str(self._folder),
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }
        said = []
        for step in job.steps:
            if "run" in step:
                own = resolved({**job.body.get("env", {}), **step.get("env", {})})
                # Whatever the job's environment is: this one is deployed here.
                own["ENVIRONMENT_SUFFIX"] = self.platform.environment
                said.append(self._script(step["run"], {**env, **own}, repr((step["run"], own))))
        return "\n".join(said)

    def _script(self, script: str, env: dict[str, str], key: str) -> str:
        if key not in self._done:
            finished = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert finished.returncode == 0, f"{script}\n{finished.stdout}"
            self._done[key] = finished.stdout
        return self._done[key]

    def _signed_in(self, kind: str) -> dict[str, str]:
        """The environment of somebody who has the policies of a role, and IAM is enforced."""
        iam: Any = self.platform.client("iam")
        name = f"pipeline-{kind}"
        if name not in {user["UserName"] for user in iam.list_users()["Users"]}:
            iam.create_user(UserName=name)
        environment = load_environment({"ENVIRONMENT_SUFFIX": self.platform.environment})
        role = pipeline_roles(environment).get(kind)
        for policy in role.policies if role else ():
            document = POLICIES[policy](Place(ACCOUNT, REGION, environment.suffix))
            iam.put_user_policy(
                UserName=name, PolicyName=policy, PolicyDocument=json.dumps(document)
            )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {
            **self.platform.env,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }


def resolved(variables: dict[str, Any]) -> dict[str, str]:
    """Variables of a workflow, with its expressions replaced by what they stand for here."""
    return {
        name: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: VALUES[found[1]], str(text))
        for name, text in variables.items()
    }


@pytest.fixture(scope="module")
def github() -> Iterator[GitHub]:
    with github_api() as api:
        yield api


@pytest.fixture(scope="module")
def runner(platform: Platform, github: GitHub, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(platform, github, tmp_path_factory.mktemp("runner"))


def test_each_job_runs_here_or_its_targets_are_made_elsewhere() -> None:
    assert {*HERE, *ELSEWHERE} == set(JOBS)
    for name, file in ELSEWHERE.items():
        text = (ROOT / file).read_text()
        scripts = str(JOBS[name].scripts)
        for target in re.findall(r"make ((?:audit|deploy|lint|test)[a-z-]*)", scripts):
            assert f'make("{target}' in text or f"make {target}" in text, (name, target)


def test_the_contract_is_compared_with_that_before_the_change(runner: Runner) -> None:
    assert re.search(r"Contract [\d.]+, compared with", runner.run(JOBS["checks/contract"]))


def test_a_pull_request_gets_plan_and_cost_as_a_comment(runner: Runner, github: GitHub) -> None:
    runner.run(JOBS["infra/plan"])
    (comment,) = [c["body"] for c in github.comments if "plan of test" in c["body"]]
    assert "### Plan of `test`: nothing to change" in comment
    assert "$ a month now" in comment
    assert "No changes. Your infrastructure matches the configuration." in comment


def test_who_approves_for_production_finds_the_plan_on_the_page_of_the_run(
    runner: Runner,
) -> None:
    runner.run(JOBS["infra/plan-production"])
    assert "### Plan of `" in runner.summary.read_text()


def test_the_service_is_released_and_answers_in_each_region(runner: Runner) -> None:
    said = runner.run(JOBS["service/deploy-dev"])
    assert "No changes to deploy" in said
    assert '"statusCode": 200' in said


def test_a_pull_request_gets_a_preview_and_its_address_until_it_is_closed(
    runner: Runner, github: GitHub
) -> None:
    runner.run(JOBS["preview/deploy"])
    (comment,) = [c["body"] for c in github.comments if "Preview" in c["body"]]
    assert re.search(r"^pr-7 .* http\S+$", comment, re.MULTILINE)
    # Nothing is swept away while the pull request is open.
    runner.run(JOBS["preview-sweep/sweep"])
    assert "pr-7" in runner.platform.make("previews").stdout
    runner.run(JOBS["preview-cleanup/destroy"])
    assert "no previews" in runner.platform.make("previews").stdout


def test_what_is_deployed_has_not_drifted(runner: Runner) -> None:
    assert "no drift" in runner.run(JOBS["drift/drift"])
    assert "no drift" in runner.summary.read_text()
