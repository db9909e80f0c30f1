"""Keeps one comment of each kind on a pull request: `python3 .github/comment.py plan-dev <text.md`.

The workflow gives `GH_TOKEN` and the number of the pull request, `PULL_REQUEST`.
https://docs.github.com/en/rest/issues/comments
"""

import itertools
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from api import call, repository_url

_AUTHOR = "github-actions[bot]"
_PAGE = 100


def main(kind: str, text: str, variables: Mapping[str, str] = os.environ) -> None:
    """Replace the workflows' comment of a kind on the pull request, or add the first one."""
    # A comment in HTML, which nobody sees, tells the kinds apart.
    marker = f"<!-- {kind} -->"
    repository = repository_url(variables)
    comments = f"{repository}/issues/{variables['PULL_REQUEST']}/comments"
    token = variables["GH_TOKEN"]
    body = {"body": f"{marker}\n{text}"}
    for comment in _all(comments, token):
        if comment["user"]["login"] == _AUTHOR and comment["body"].startswith(marker):
            call("PATCH", f"{repository}/issues/comments/{comment['id']}", token, body)
            return
    call("POST", comments, token, body)


def _all(url: str, token: str) -> Iterator[Mapping[str, Any]]:
    for number in itertools.count(1):
        page = call("GET", f"{url}?per_page={_PAGE}&page={number}", token)
        yield from page
        if len(page) < _PAGE:
            return


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.read())
