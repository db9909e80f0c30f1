"""Names the previews of closed pull requests, one stage a line.

Standard input is what `make --silent previews JSON=1` prints. A preview that somebody made by hand,
under another name than `pr-<number>`, is not the pipeline's to remove.
https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request
"""

import json
import os
import re
import sys
import urllib.error
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from api import call, repository_url


def closed_stages(previews: str, variables: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The stages of previews whose pull request is closed, each once.

    A preview whose pull request does not exist gets a warning: whose it is, a person must find out.

    Raises:
        urllib.error.HTTPError: GitHub refuses the token, or does not answer.
    """
    for stage in sorted({preview["stage"] for preview in json.loads(previews)}):
        number = re.fullmatch(r"pr-([0-9]+)", stage)
        if not number:
            continue
        state = _state(f"{repository_url(variables)}/pulls/{number[1]}", variables["GH_TOKEN"])
        if state == "closed":
            yield stage
        elif state is None:
            print(
                f"::warning::there is no pull request of the preview {stage}: find out whose it "
                f"is, and remove it with `make destroy-service SERVICE_STAGE={stage}`",
                file=sys.stderr,
            )


def _state(url: str, token: str) -> str | None:
    """Whether a pull request is open or closed; None if there is none."""
    try:
        return str(call("GET", url, token)["state"])
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.NOT_FOUND:
            raise
        return None


if __name__ == "__main__":
    print("".join(f"{stage}\n" for stage in closed_stages(sys.stdin.read())), end="")
