"""What to do about errors that Terraform does not explain in this project's terms."""

import re
from collections.abc import Mapping

# How Terraform colours and frames an error.
_FRAME = re.compile(r"\x1b\[[0-9;]*m|[│╷╵]")

# The first match counts: about a state file that it cannot read, Terraform also says that it could
# not lock it.
_WAYS: Mapping[str, str] = {
    r"Unsupported state file format": (
        "the state of {stack} cannot be read: it is damaged, or a newer Terraform wrote it; see "
        "docs/runbooks/stuck-lock.md"
    ),
    r"Error acquiring the state lock": (
        "another run holds the state of {stack}, or a killed one left its lock; see "
        "docs/runbooks/stuck-lock.md, and do not use -lock=false: two runs destroy the state"
    ),
    r"does not have the expected content": (
        "the state of {stack} is not the one that was written last: it is lost, or a run was "
        "killed while it wrote; see docs/runbooks/stuck-lock.md"
    ),
    r"Saved plan is stale": (
        "the saved plan of {stack} is out of date: something was applied after it was made; make a "
        "new one with `make plan OUT=folder`"
    ),
    r"Resource (?P<address>\S+) has lifecycle\.prevent_destroy set": (
        "{stack}: cannot work: {address}: the plan would destroy it, and [protection] "
        "prevent_destroy guards it; take the edit back, or first deploy with "
        "prevent_destroy = false alone"
    ),
    r"GetSecretValue.*is not authorized to perform": (
        "{stack}: Terraform reads the master secret of a global database in a plan that can be "
        "applied, and these credentials may not: use `make plan-comment`, or the infra deployer "
        "(docs/how-to/set-up-pipelines.md)"
    ),
    r"reading S3 Bucket [^:]*: operation error S3: .*AccessDenied": (
        "the credentials may not read the buckets of {stack}: if the state is of another account, "
        "change the credentials, or STATE and STATE_DIR"
    ),
    r"Provider configuration not present": (
        "{stack} has resources in a region that its file no longer names; put back what was taken "
        "out of the file"
    ),
}


def explained(output: str, stack: str) -> str | None:
    """One line on what to do about an error in Terraform's output; None if it is unknown."""
    text = " ".join(_FRAME.sub("", output).split())
    for pattern, way in _WAYS.items():
        if match := re.search(pattern, text):
            return way.format(stack=stack, **match.groupdict())
    return None
