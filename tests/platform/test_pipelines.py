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
# The other jobs, and the tests that run their targets. Production runs dev's targets.
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
# The values of the jobs' expressions.
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
    """Runs jobs' scripts like GitHub's runners, but each script only once per environment."""

    def __init__(self, platform: Platform, github: GitHub, folder: Path) -> None:
        self.platform = platform
        self._github = github
        self._folder = folder
        self._done: dict[str, str] = {}
        self.summary = folder / "summary.md"

    def run(self, job: Job) -> str:
        """Run a job and return its output."""
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
                # This environment is deployed here, whatever the job's is.
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
        """The variables of a user with a role's policies, under enforced IAM."""
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
    """A workflow's variables, with values in place of expressions."""
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


def test_the_approver_of_production_sees_the_plan_on_the_page_of_the_run(
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
    # The sweep keeps previews of open pull requests.
    runner.run(JOBS["preview-sweep/sweep"])
    assert "pr-7" in runner.platform.make("previews").stdout
    runner.run(JOBS["preview-cleanup/destroy"])
    assert "no previews" in runner.platform.make("previews").stdout


def test_what_is_deployed_has_not_drifted(runner: Runner) -> None:
    assert "no drift" in runner.run(JOBS["drift/drift"])
    assert "no drift" in runner.summary.read_text()
