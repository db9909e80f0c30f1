"""Keeps one comment of each kind on a pull request: `python3 .github/comment.py plan-dev <text.md`.

It needs no more than Python. GitHub's runners set where the API is and which repository this is;
the workflow gives `GH_TOKEN` and the number, `PULL_REQUEST`.
https://docs.github.com/en/rest/issues/comments
"""

import itertools
import json
import os
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

_AUTHOR = "github-actions[bot]"
_PAGE = 100
_TIMEOUT_SECONDS = 30


def main(kind: str, text: str, variables: Mapping[str, str] = os.environ) -> None:
    """Replace the workflows' comment of a kind on the pull request, or add the first one."""
    # A comment in HTML, which nobody sees, tells the kinds apart.
    marker = f"<!-- {kind} -->"
    repository = f"{variables['GITHUB_API_URL']}/repos/{variables['GITHUB_REPOSITORY']}"
    comments = f"{repository}/issues/{variables['PULL_REQUEST']}/comments"
    token = variables["GH_TOKEN"]
    body = {"body": f"{marker}\n{text}"}
    for comment in _all(comments, token):
        if comment["user"]["login"] == _AUTHOR and comment["body"].startswith(marker):
            _call("PATCH", f"{repository}/issues/comments/{comment['id']}", token, body)
            return
    _call("POST", comments, token, body)


def _all(url: str, token: str) -> Iterator[Mapping[str, Any]]:
    for number in itertools.count(1):
        page = _call("GET", f"{url}?per_page={_PAGE}&page={number}", token)
        yield from page
        if len(page) < _PAGE:
            return


def _call(method: str, url: str, token: str, body: object = None) -> Any:
    request = urllib.request.Request(  # noqa: S310
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": "2022-11-28",
        },
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
        return json.load(answer)


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.read())
