"""The schema of a release: its migrations, and the columns that its code names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.deploy.kept_packages import kept_versions, read_package
from service.tools.migration_losses import COMMENT, DROPS_COLUMN
from service.tools.migration_verdicts import load_verdicts, refusal, verdict_table
from shared.cli.errors import UserError

_FUNCTIONS = ("TradeFunction", "ArchiveFunction", "MigrationFunction")
_WORD = re.compile(r"[A-Za-z_]\w*")
# `DROP a`, `DROP COLUMN a`, `RENAME COLUMN a TO b` and `CHANGE a b …` take the name `a` away.
_GONE = re.compile(
    rf"(?:{DROPS_COLUMN}|\bRENAME\s+COLUMN|\bCHANGE(?:\s+COLUMN)?)\s+`?(\w+)`?", re.IGNORECASE
)


@dataclass(frozen=True)
class Schema:
    """The names of a release's migrations, and all words of its code that may be columns."""

    migrations: Sequence[str]
    words: Sequence[str]


def built_migrations(built_template: Path) -> dict[str, str]:
    """The text of each migration that is built, by name."""
    folder = built_template.parent / "MigrationFunction" / "migrations"
    return {file.stem: file.read_text() for file in sorted(folder.glob("*.sql"))}


def built_schema(built_template: Path) -> Schema:
    """The schema of what is built.

    A word counts as read if it stands anywhere in the code of a function that uses the database:
    nothing else can read or write a column of that name.
    """
    texts = built_migrations(built_template)
    named = {word for text in texts.values() for word in _WORD.findall(COMMENT.sub("", text))}
    written = {
        word
        for function in _FUNCTIONS
        for file in (built_template.parent / function).rglob("*.py")
        for word in _WORD.findall(file.read_text())
    }
    return Schema(sorted(texts), sorted(named & written))


def check_migrations(texts: Mapping[str, str]) -> None:
    """Do nothing if a server accepted all migrations, or their authors say why they are safe.

    Raises:
        UserError: a migration is refused, or no server has judged it.
    """
    verdicts = load_verdicts()
    problems = [refusal(name, verdicts.get(name), text) for name, text in texts.items()]
    if found := [problem for problem in problems if problem]:
        raise UserError("; ".join(found))


def check_added_migrations(stack: str, bucket: str, region: str, texts: Mapping[str, str]) -> None:
    """Print the migrations that a release adds, and refuse to take a column from a kept release.

    Raises:
        UserError: a kept release, which a rollback may bring back, may read a column that goes; or
            AWS does not answer.
    """
    kept = sorted(kept_versions(stack, bucket, region))
    if not kept:
        return
    known = read_package(stack, bucket, region, kept[-1]).migrations
    added = {name: text for name, text in texts.items() if name not in known}
    if known and added:
        print(verdict_table(added, load_verdicts()), flush=True)
    gone = {name: gone_columns(text) for name, text in added.items()}
    if not any(gone.values()):
        return
    packages = {version: read_package(stack, bucket, region, version) for version in kept}
    for name, columns in gone.items():
        for column in columns:
            # A package of an older tool does not say which columns its code reads.
            readers = [
                str(version)
                for version, package in packages.items()
                if not package.words or column in package.words
            ]
            if readers:
                raise UserError(
                    f"{name}: takes the column {column} away, which may be read by these versions "
                    f"in `make releases`: {', '.join(readers)}. A rollback may bring them back. "
                    "Release code without the column until none of them is listed with a package"
                )


def gone_columns(text: str) -> list[str]:
    """The columns that a migration drops or renames."""
    return _GONE.findall(COMMENT.sub("", text))
