"""GitHub's REST API, as far as the workflows need it, with no more than Python.

GitHub's runners set where the API is and which repository this is; a step gives `GH_TOKEN`.
https://docs.github.com/en/rest
"""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

_TIMEOUT_SECONDS = 30


def repository_url(variables: Mapping[str, str]) -> str:
    """Where the API has the repository of the workflow."""
    return f"{variables['GITHUB_API_URL']}/repos/{variables['GITHUB_REPOSITORY']}"


def call(method: str, url: str, token: str, body: object = None) -> Any:
    """Send one request; the answer's document, or None for an answer without one.

    Raises:
        urllib.error.HTTPError: GitHub refuses the request.
    """
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
        content = answer.read()
    return json.loads(content) if content else None
