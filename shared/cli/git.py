"""What git knows of the project."""

import subprocess
from pathlib import Path

from shared.cli.errors import UserError


class GitRefused(UserError):
    """Git does not know what it is asked for."""


def git(root: Path, *arguments: str) -> str:
    """What a command of git prints in a folder.

    Raises:
        GitRefused: the command failed.
        UserError: there is no git.
    """
    try:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout
    except FileNotFoundError:
        raise UserError("git is not installed") from None
    except subprocess.CalledProcessError as error:
        raise GitRefused(f"git {arguments[0]}: {error.stderr.strip()}") from None


def base_commit(root: Path, base: str) -> tuple[str, str]:
    """The commit of a git ref, and the ref: `base`, or else `origin/main` or `HEAD`.

    Raises:
        GitRefused: there is no such commit.
        UserError: there is no git.
    """
    for ref in [base] if base else ["origin/main", "HEAD"]:
        try:
            found = git(root, "rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
        except GitRefused:
            continue
        return found.strip(), ref
    raise GitRefused(f"BASE {base!r}: git knows no such commit here; fetch it first")
