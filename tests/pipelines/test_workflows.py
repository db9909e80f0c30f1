"""What a reviewer of workflows checks. `make lint` checks their form and known weaknesses."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.config.environment import load_environment
from infra.stacks.pipelines import pipeline_roles
from tests.support.workflows import FOLDER, ROOT, Job, jobs, matches, uses, workflows

JOBS = jobs()
SIGNED_IN = [job for job in JOBS if job.role]
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
NOT_DEPENDABOT = "github.event.pull_request.user.login != 'dependabot[bot]'"
THIS_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"


def test_every_action_from_outside_is_pinned_to_a_commit_with_its_version_beside_it() -> None:
    texts = [file.read_text() for file in FOLDER.rglob("*.yml")]
    for name in set(uses()):
        if name.startswith("./"):
            assert (ROOT / name / "action.yml").is_file()
            continue
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", name), name
        found = {line for text in texts for line in text.splitlines() if name in line}
        assert len({line.partition("#")[2].strip() for line in found}) == 1
        assert all(re.search(r"# v\d+\.\d+\.\d+$", line) for line in found), name


def test_no_workflow_has_a_stored_key() -> None:
    for name in tracked(str(FOLDER)):
        text = (ROOT / name).read_text()
        assert "secrets." not in text, name
        assert not re.search(r"aws[-_](access[-_]key|secret|session)", text, re.IGNORECASE), name


@pytest.mark.parametrize("workflow", workflows().values(), ids=lambda workflow: workflow.name)
def test_a_workflow_starts_with_no_permission_and_a_job_says_which_it_needs(workflow: Any) -> None:
    assert workflow.document["permissions"] == {}
    assert workflow.document["defaults"]["run"] == {"shell": "bash"}
    for job in workflow.jobs.values():
        needed = {"contents": "read"}
        if job.role:
            needed["id-token"] = "write"
        if "comment.py" in str(job.scripts):
            needed["pull-requests"] = "write"
        if "closed_previews.py" in str(job.scripts):
            needed["pull-requests"] = "read"
        assert job.body["permissions"] == needed, job


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_every_job_ends_in_time_and_leaves_no_token_in_the_checkout(job: Job) -> None:
    assert 0 < job.body["timeout-minutes"] <= 120
    checkouts = [step for step in job.steps if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) == 1
    assert checkouts[0]["with"]["persist-credentials"] is False


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_no_expression_is_written_into_a_script(job: Job) -> None:
    # The shell would run its content.
    assert not [script for script in job.scripts if "${{" in script]


@pytest.mark.parametrize("job", SIGNED_IN, ids=str)
def test_a_job_takes_a_role_that_trusts_it(job: Job) -> None:
    for suffix in job.environments:
        environment = load_environment({"ENVIRONMENT_SUFFIX": suffix})
        role = job.role.replace("${{ matrix.environment }}", suffix).removeprefix(f"{suffix}-")
        assert job.subject in pipeline_roles(environment)[role].subjects


@pytest.mark.parametrize("job", SIGNED_IN, ids=str)
def test_a_job_signs_in_after_it_has_installed_what_its_half_needs(job: Job) -> None:
    # Foreign code is installed before there is a token to steal.
    order = [step.get("run", step.get("uses", "")).split("@")[0] for step in job.steps]
    half = "infra" if job.workflow.name == "infra" else "service"
    install = "make tools" if job.workflow.name == "drift" else f"make install-{half}"
    # So is what a build fetches; a second build takes it from the cache.
    build = ["make build-service"] if any("deploy-service" in step for step in order) else []
    assert order[: 3 + len(build)] == [
        "actions/checkout",
        install,
        *build,
        "./.github/actions/sign-in",
    ]


def test_what_a_job_makes_does_not_get_the_token_for_signing_in(tmp_path: Path) -> None:
    # GitHub sets these for each step of a job that may sign in.
    # https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token
    token = {f"ACTIONS_ID_TOKEN_REQUEST_{name}": "of-the-job" for name in ("TOKEN", "URL")}
    recipe = tmp_path / "recipe.mk"
    recipe.write_text("show:\n\t@env\n")
    made = subprocess.run(
        ["make", "--file=Makefile", f"--file={recipe}", "show"],
        cwd=ROOT,
        env={**os.environ, **token},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "ENVIRONMENT_SUFFIX=" in made.stdout
    assert "of-the-job" not in made.stdout


@pytest.mark.parametrize("job", SIGNED_IN, ids=str)
def test_a_job_works_in_the_regions_that_the_repositorys_variables_name(job: Job) -> None:
    given = job.body["env"]["REGIONS"]
    if given == "${{ matrix.regions }}":
        entries = job.body["strategy"]["matrix"]["include"]
        found = {(entry["environment"], entry["regions"]) for entry in entries}
    else:
        found = {(environment, given) for environment in job.environments}
    for environment, regions in found:
        place = "PREVIEW" if job.role.endswith("-previewer") else environment.upper()
        assert regions.strip("${} ") == f"vars.REGIONS_{place} || 'us-east-1'"


def test_nothing_but_a_plan_reaches_production_without_approval_and_after_dev() -> None:
    found = [
        job
        for job in SIGNED_IN
        if "production" in job.environments and not job.role.endswith("-planner")
    ]
    assert [(str(job), job.body["environment"]) for job in found] == [
        ("infra/deploy-production", "production-infra"),
        ("service/deploy-production", "production-service"),
    ]
    for job in found:
        assert job.chain[0].name == "deploy-dev"


def test_a_pull_request_of_a_fork_gets_no_role() -> None:
    for workflow in workflows().values():
        assert not {"pull_request_target", "workflow_run"} & workflow.triggers.keys()
    for job in SIGNED_IN:
        assert (THIS_REPOSITORY in job.conditions) == (job.subject == "pull_request"), job


def test_no_package_that_nobody_has_reviewed_runs_with_a_role() -> None:
    for job in SIGNED_IN:
        assert (NOT_DEPENDABOT in job.conditions) == (job.subject == "pull_request"), job


def test_a_repository_without_accounts_skips_what_needs_them() -> None:
    for job in SIGNED_IN:
        for suffix in job.environments:
            assert f"vars.AWS_ACCOUNT_{suffix.upper()}" in job.conditions, job


def test_deploys_to_one_place_never_overlap_and_are_never_cut_off() -> None:
    groups: dict[str, list[str]] = {}
    for job in JOBS:
        if any(re.search(r"make (deploy|destroy)-", script) for script in job.scripts):
            concurrency = job.body["concurrency"]
            assert concurrency["cancel-in-progress"] is False
            groups.setdefault(concurrency["group"], []).append(str(job))
    assert groups == {
        "infra-dev": ["infra/deploy-dev"],
        "infra-production": ["infra/deploy-production"],
        # The clean-up waits for the deploy.
        "preview-${{ github.event.number }}": ["preview-cleanup/destroy", "preview/deploy"],
        "preview-sweep": ["preview-sweep/sweep"],
        "service-dev": ["service/deploy-dev"],
        "service-production": ["service/deploy-production"],
    }


@pytest.mark.parametrize("workflow", ["infra", "service"])
def test_production_gets_exactly_what_dev_got(workflow: str) -> None:
    found = workflows()[workflow].jobs
    dev, production = (deploy(found[f"deploy-{name}"].body) for name in ("dev", "production"))
    if workflow == "infra":
        # Production gets the plan that was approved.
        *before, download, last = production["steps"]
        assert download["uses"].startswith("actions/download-artifact@")
        assert last["run"] == 'make deploy-infra PLAN="$RUNNER_TEMP/plans"'
        production["steps"] = [*before, {"run": "make deploy-infra"}]
    assert dev["steps"] == production["steps"]
    assert dev["env"] == production["env"]


def test_production_gets_the_very_plan_that_its_reviewers_saw() -> None:
    found = workflows()["infra"].jobs
    planned, applied = found["plan-production"], found["deploy-production"]
    assert applied.body["needs"] == "plan-production"
    assert any('OUT="$RUNNER_TEMP/plans"' in script for script in planned.scripts)
    (kept,) = [step["with"] for step in planned.steps if "upload-artifact@" in step.get("uses", "")]
    (got,) = [
        step["with"] for step in applied.steps if "download-artifact@" in step.get("uses", "")
    ]
    assert kept["if-no-files-found"] == "error"
    assert {"name": kept["name"], "path": kept["path"]} == got
    assert got["path"] == "${{ runner.temp }}/plans"


def deploy(body: Mapping[str, Any]) -> Any:
    """A job without its environment's name."""
    if isinstance(body, Mapping):
        return {key: deploy(value) for key, value in body.items()}
    if isinstance(body, list):
        return [deploy(each) for each in body]
    return re.sub("dev|production", "ENV", str(body), flags=re.IGNORECASE)


def tracked(*folders: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--", *folders], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = listed.stdout.splitlines()
    assert files
    return files


@pytest.mark.parametrize(
    ("workflow", "event", "half"),
    [
        ("infra", "pull_request", "infra"),
        ("infra", "push", "infra"),
        ("service", "push", "service"),
        ("preview", "pull_request", "service"),
    ],
)
def test_every_file_of_a_half_and_of_the_contract_starts_its_workflow_and_no_other_does(
    workflow: str, event: str, half: str
) -> None:
    patterns = workflows()[workflow].paths(event)
    pins = ("requirements/bootstrap.txt", f"requirements/{half}.txt")
    for file in tracked(half, "shared", *pins, "Makefile", f"{FOLDER}/actions"):
        assert any(matches(file, pattern) for pattern in patterns), file
    other = {"infra": "service", "service": "infra"}[half]
    others = (f"requirements/{other}.txt", "requirements/dev.txt", "requirements/emulator.txt")
    for file in tracked(other, *others, "docs", "tests", "README.md"):
        assert not any(matches(file, pattern) for pattern in patterns), file
    # A filter for a missing path is a mistake.
    for pattern in patterns:
        assert tracked(pattern.removesuffix("/**")), pattern
    assert f".github/workflows/{workflow}.yml" in patterns


def test_every_required_check_runs_for_every_change() -> None:
    # A workflow that is left out for its paths would leave a required check waiting forever.
    # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#onpushpull_requestpull_request_targetpathspaths-ignore
    checks = workflows()["checks"]
    assert checks.triggers["pull_request"] is None
    assert "merge_group" in checks.triggers
    assert not [job for job in checks.jobs.values() if job.conditions]
    # A preview ends with its pull request, whatever that changes.
    assert workflows()["preview-cleanup"].triggers == {"pull_request": {"types": ["closed"]}}


def test_every_target_that_a_workflow_makes_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {
        target
        for job in JOBS
        for script in job.scripts
        for target in re.findall(r"\bmake (?:--\S+ )*([a-z-]+)", script)
    }
    assert {"lint", "test", "plan-comment", "deploy-infra", "deploy-service"} <= called
    assert called <= targets


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_every_expression_leads_to_something(job: Job) -> None:
    matrix = job.body.get("strategy", {}).get("matrix", {}).get("include", [])
    for expression in [*EXPRESSION.findall(str(job.body)), job.conditions]:
        for context, name in re.findall(r"\b(matrix|needs|steps|inputs|env)\.(\w+)", expression):
            assert context == "matrix", f"{expression}: a context that is not known here"
            assert all(name in entry for entry in matrix), expression


def test_every_variable_of_the_repository_is_on_a_page() -> None:
    used = {
        name
        for file in (FOLDER / "workflows").glob("*.yml")
        for name in re.findall(r"\bvars\.(\w+)", file.read_text())
    }
    assert "REGIONS_PREVIEW" in used
    pages = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    assert {name for name in used if f"`{name}`" not in pages} == set()
