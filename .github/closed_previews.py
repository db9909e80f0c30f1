"""Names the previews of closed pull requests, one stage a line.

Standard input is what `make --silent previews JSON=1` prints. A preview that somebody made by hand,
under another name than `pr-<number>`, is not the pipeline's to remove.
https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping

from api import call, repository_url


def closed_stages(previews: str, variables: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The stages of previews whose pull request is closed, each once.

    Raises:
        urllib.error.HTTPError: GitHub does not know the pull request, or refuses the token.
    """
    for stage in sorted({preview["stage"] for preview in json.loads(previews)}):
        number = re.fullmatch(r"pr-([0-9]+)", stage)
        if number:
            url = f"{repository_url(variables)}/pulls/{number[1]}"
            if call("GET", url, variables["GH_TOKEN"])["state"] == "closed":
                yield stage


if __name__ == "__main__":
    print("".join(f"{stage}\n" for stage in closed_stages(sys.stdin.read())), end="")
