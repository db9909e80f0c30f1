"""Works on the deployed service: `python -m service.deploy.commands deploy`."""

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from service.deploy.build import FOLDER
from service.deploy.deployed import artifact_bucket, service_stack
from service.deploy.history import list_releases, release_table
from service.deploy.kept_packages import kept_versions
from service.deploy.previews import find_previews
from service.deploy.release import built_candidate, earlier_release, kept_candidate, release
from service.deploy.sam import run_sam
from service.deploy.target import Copy, Target
from shared.cli.confirm import confirm
from shared.cli.errors import UserError, exit_code
from shared.cli.in_regions import LOGS, RegionRun, parallel_limit, run_in_regions


def deploy(target: Target) -> None:
    """Release the built service; with a stage, as a preview.

    Nothing starts if one region cannot take the release.

    Raises:
        UserError: a region cannot take the release, or the release failed.
    """
    candidates = [built_candidate(copy, target) for copy in target.copies]
    if len(candidates) > 1:
        _in_regions(target, "deploy", re.compile(".* is released "))
    else:
        _announce(target.copies[0], "deploy")
        release(candidates[0])


def rollback(target: Target) -> None:
    """Release again what was live before, or the version that `TO` names.

    Raises:
        UserError: there is no such release, a region cannot take it, or it failed.
    """
    to = target.variables.get("TO", "")
    if len(target.copies) > 1:
        if to:
            raise UserError("TO: each region counts its own versions; name one of them in REGIONS")
        for copy in target.copies:
            earlier_release(copy, to)
        _in_regions(target, "rollback", re.compile(".* is released "))
        return
    _announce(target.copies[0], "rollback")
    with kept_candidate(target.copies[0], to) as candidate:
        release(candidate)


def releases(target: Target) -> None:
    """List the latest releases, and where the callers are.

    Raises:
        UserError: the service is not deployed, or AWS does not answer.
    """
    for copy in target.copies:
        _announce(copy, "releases")
        stack, bucket = service_stack(copy)
        kept = kept_versions(stack.name, bucket, copy.region)
        print(release_table(list_releases(stack, copy.region), kept))


def delete(target: Target) -> None:
    """Remove the service, whose trades stay in the database; with a stage, a preview and its data.

    On a terminal, it asks first.

    Raises:
        UserError: the person declines, there is no such preview, or SAM failed.
    """
    if sys.stdin.isatty():
        confirm(
            f"Delete the preview {target.stage} of {target.environment}, with its trades?"
            if target.stage
            else f"Remove the service of {target.environment}? Its trades stay, its API goes."
        )
    if len(target.copies) > 1:
        _in_regions(target, "delete", re.compile("Deleted successfully"))
        return
    (copy,) = target.copies
    _announce(copy, "delete")
    if copy.stage:
        there = [preview.stage for preview in find_previews(copy.region, copy.environment)]
        if copy.stage not in there:
            raise UserError(
                f"there is no preview {copy.stage} of {copy.environment} in {copy.region} to "
                f"remove; there {'are: ' + ', '.join(there) if there else 'is none at all'}"
            )
    run_sam(
        "delete",
        "--no-prompts",
        f"--stack-name={copy.stack}",
        f"--region={copy.region}",
        f"--s3-bucket={artifact_bucket(copy)}",
        f"--s3-prefix={copy.stack}",
    )


def invoke(target: Target) -> None:
    """Send the event in the file `EVENT` to a deployed function and print its answer.

    `FUNCTION` is the function's name in the template; TradeFunction by default.

    Raises:
        UserError: there is no such file, or SAM failed.
    """
    event = Path(target.variables.get("EVENT") or FOLDER / "events" / "post_trade.json")
    if not event.is_file():
        raise UserError(f"EVENT {event}: there is no such file")
    function = target.variables.get("FUNCTION") or "TradeFunction"
    # Callers reach this function through its alias, which may lead to an older version.
    qualifier = ("--parameter=Qualifier=live",) if function == "TradeFunction" else ()
    for copy in target.copies:
        _announce(copy, "invoke")
        run_sam(
            "remote",
            "invoke",
            function,
            f"--stack-name={copy.stack}",
            f"--region={copy.region}",
            f"--event-file={event}",
            *qualifier,
        )


_COMMANDS: Mapping[str, Callable[[Target], None]] = {
    "deploy": deploy,
    "rollback": rollback,
    "releases": releases,
    "delete": delete,
    "invoke": invoke,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command on the copies of the service that the environment variables name.

    Raises:
        UserError: a variable has a value that cannot be used, or the command failed.
    """
    parser = argparse.ArgumentParser(prog="python -m service.deploy.commands", description=__doc__)
    parser.add_argument("command", choices=list(_COMMANDS))
    command = parser.parse_args(arguments).command
    _COMMANDS[command](Target.from_environment())


def _announce(copy: Copy, command: str) -> None:
    print(f"==> {copy.stack}: {command}", flush=True)


def _in_regions(target: Target, command: str, result: re.Pattern[str]) -> None:
    """Run the command in each region, in processes side by side."""
    runs = [
        RegionRun(
            copy.region,
            [sys.executable, "-m", "service.deploy.commands", command],
            {**target.variables, "REGIONS": copy.region, "PYTHONUNBUFFERED": "1"},
            LOGS / f"{copy.stack}-{command}.log",
        )
        for copy in target.copies
    ]
    run_in_regions(
        [runs],
        what=f"{command} of the service",
        result=result,
        parallel=parallel_limit(target.variables),
    )


if __name__ == "__main__":
    sys.exit(exit_code(main))
