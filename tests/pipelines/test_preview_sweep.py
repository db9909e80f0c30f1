"""The nightly sweep: its own script, with GitHub's API over HTTP."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.github import GitHub, github_api
from tests.support.workflows import ROOT, jobs

(JOB,) = [job for job in jobs() if str(job) == "preview-sweep/sweep"]


@pytest.fixture
def github() -> Iterator[GitHub]:
    with github_api() as api:
        yield api


def sweep(github: GitHub, folder: Path, *stages: str, failing: str = "none") -> list[str]:
    """Run the job's steps with these previews; returns the stages that it destroys."""
    make = folder / "make"
    listed = json.dumps([{"stage": stage, "region": "us-east-1"} for stage in stages])
    make.write_text(
        f"""#!/bin/sh
case "$*" in
*previews*) echo '{listed}' ;;
destroy*) echo "$*" >>"{folder}/destroyed"; case "$*" in *={failing}) exit 2 ;; esac ;;
esac
"""
    )
    make.chmod(0o755)
    env = {**os.environ, **github.env, "RUNNER_TEMP": str(folder)}
    env["PATH"] = f"{folder}{os.pathsep}{env['PATH']}"
    for script in JOB.scripts:
        finished = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script], cwd=ROOT, env=env, check=False
        )
        if finished.returncode:
            (folder / "destroyed").open("a").write("failed\n")
            break
    destroyed = folder / "destroyed"
    return destroyed.read_text().splitlines() if destroyed.exists() else []


def test_it_runs_without_an_event_of_a_pull_request() -> None:
    # GitHub has none for one that is closed while it conflicts with its base branch.
    assert "schedule" in JOB.workflow.triggers


def test_previews_of_closed_pull_requests_alone_are_removed(github: GitHub, tmp_path: Path) -> None:
    github.pulls = {"7": "open", "8": "closed"}
    assert sweep(github, tmp_path, "pr-7", "pr-8", "pr-8", "by-hand") == [
        "destroy-service SERVICE_STAGE=pr-8"
    ]


def test_a_preview_that_cannot_be_removed_fails_the_run_but_stops_no_other_removal(
    github: GitHub, tmp_path: Path
) -> None:
    github.pulls = {"8": "closed", "9": "closed"}
    assert sweep(github, tmp_path, "pr-8", "pr-9", failing="pr-8") == [
        "destroy-service SERVICE_STAGE=pr-8",
        "destroy-service SERVICE_STAGE=pr-9",
        "failed",
    ]


def test_a_preview_without_a_pull_request_stops_no_other_removal(
    github: GitHub, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    github.pulls = {"8": "closed"}
    assert sweep(github, tmp_path, "pr-404", "pr-8") == ["destroy-service SERVICE_STAGE=pr-8"]
    assert "::warning::there is no pull request of the preview pr-404" in capfd.readouterr().err


def test_nothing_is_removed_if_github_refuses_the_token(github: GitHub, tmp_path: Path) -> None:
    github.pulls = {"8": "closed"}
    github.token = "of-another-job"
    assert sweep(github, tmp_path, "pr-8") == ["failed"]
