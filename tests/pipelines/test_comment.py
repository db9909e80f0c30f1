"""Comments on a pull request, one of each kind, over HTTP."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.github import GitHub, github_api
from tests.support.workflows import FOLDER


@pytest.fixture
def github() -> Iterator[GitHub]:
    with github_api() as api:
        yield api


def comment(github: GitHub, kind: str, text: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, FOLDER / "comment.py", kind],
        env={**os.environ, **github.env, **env},
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_second_run_replaces_the_comment_of_its_kind_and_no_other(github: GitHub) -> None:
    github.add("LGTM", author="reviewer")
    for kind, text in (("plan of dev", "1 to add"), ("preview", "https://…"), ("plan of dev", "0")):
        assert comment(github, kind, text).returncode == 0
    assert [each["body"] for each in github.comments] == [
        "LGTM",
        "<!-- plan of dev -->\n0",
        "<!-- preview -->\nhttps://…",
    ]


def test_the_comment_is_found_behind_many_others(github: GitHub) -> None:
    for _ in range(100):
        github.add("a long discussion", author="reviewer")
    comment(github, "preview", "first")
    comment(github, "preview", "second")
    assert len(github.comments) == 101
    assert github.comments[-1]["body"] == "<!-- preview -->\nsecond"


def test_somebody_elses_comment_with_the_same_mark_is_left_alone(github: GitHub) -> None:
    github.add("<!-- preview -->\nhttps://phishing.example.com", author="mallory")
    comment(github, "preview", "real")
    assert len(github.comments) == 2
    assert "phishing" in github.comments[0]["body"]


def test_a_refusal_fails_the_step_without_showing_the_token(github: GitHub) -> None:
    refused = comment(github, "preview", "text", GH_TOKEN="revoked-token")
    assert refused.returncode != 0
    assert "401" in refused.stderr
    assert "revoked-token" not in refused.stderr + refused.stdout
