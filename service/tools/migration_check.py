"""Rejects migrations that would break the running release, or stop trades.

A server said whether a statement stops trades: see `migration_verdicts`. The rest is about code.
Migrations run before new code takes traffic, so the release before it must work with the new
schema; a release that a rollback brings back keeps working with it. Additions are safe: a table, an
index, or a column that old statements can ignore. Everything else needs a line that says why it is
safe:

    -- safe because no release since 1.4.0 reads this column

A migration that the base commit has may be applied somewhere, and is never changed.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

from service.tools.migration_verdicts import load_verdicts, refusal
from shared.cli.errors import UserError, exit_code
from shared.cli.git import GitRefused, base_commit, git

MIGRATIONS = Path(__file__).parents[1] / "migrations"

# What statements of the running release, which do not know the column, could violate.
_RULES = (
    exp.CheckColumnConstraint,
    exp.PrimaryKeyColumnConstraint,
    exp.Reference,
    exp.UniqueColumnConstraint,
)
_TRIGGER = re.compile(r"(\s*--[^\n]*\n)*\s*CREATE\s+TRIGGER\b", re.IGNORECASE)
# sqlglot does not know them after an index.
_WISHES = re.compile(r"\b(ALGORITHM|LOCK)\s*=\s*\w+(?=[\w\s=]*\Z)", re.IGNORECASE)
_INDEX = re.compile(r"\b(CREATE|DROP)\s+INDEX\b", re.IGNORECASE)
# MariaDB takes these words, and sqlglot with it. MySQL has them for whole tables and triggers only.
# https://dev.mysql.com/doc/refman/8.0/en/alter-table.html
_MARIADB = re.compile(
    r"\b(COLUMN|INDEX|KEY|CONSTRAINT|ADD|DROP|MODIFY|CHANGE)\s+IF\s+(NOT\s+)?EXISTS\b",
    re.IGNORECASE,
)
_REASON = re.compile(r"^-- safe because \S", re.MULTILINE)


def check(file: Path) -> None:
    """Check one migration.

    Raises:
        UserError: it is not one statement of MySQL, or does more than add and does not say why.
    """
    text = file.read_text()
    if _TRIGGER.match(text):
        # sqlglot takes the semicolons of a trigger's body for ends of statements.
        if not _REASON.search(text):
            raise UserError(
                f"{file.name}: a trigger may break the running release; "
                "if it cannot, say why in a line `-- safe because ...`"
            )
        return
    if found := _MARIADB.search(text):
        raise UserError(
            f"{file.name}: MySQL does not have {found[0]!r}: leave it out, since each migration is "
            "applied once"
        )
    # sqlglot turns what it does not know into a command, which needs a reason: no need to warn.
    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    known = _WISHES.sub("", text) if _INDEX.search(text) else text
    try:
        statements = sqlglot.parse(known, dialect="mysql")
    except ParseError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file.name}: not understood as MySQL: {reason}") from None
    if len(statements) != 1:
        raise UserError(f"{file.name}: has {len(statements)} statements; give each its own file")
    objection = _objection(statements[0])
    if objection and not _REASON.search(text):
        raise UserError(
            f"{file.name}: {objection} may break the running release; "
            "if it cannot, say why in a line `-- safe because ...`"
        )


def _objection(statement: exp.Expr | None) -> str | None:
    """What a statement does beyond adding; None if nothing."""
    if isinstance(statement, exp.Create) and not statement.args.get("replace"):
        if statement.kind == "TABLE":
            return None
        if statement.kind == "INDEX" and not statement.args.get("unique"):
            return None
    if isinstance(statement, exp.Alter) and statement.args["kind"] == "TABLE":
        return next(filter(None, map(_action_objection, statement.args["actions"])), None)
    return "this statement" if statement is None else f"`{statement.sql('mysql')[:80]}`"


def _action_objection(action: exp.Expr) -> str | None:
    if isinstance(action, exp.ColumnDef):
        return _column_objection(action)
    if isinstance(action, exp.AddConstraint) and all(
        isinstance(added, exp.IndexColumnConstraint) for added in action.expressions
    ):
        return None
    return f"`{action.sql('mysql')}`"


def _column_objection(column: exp.ColumnDef) -> str | None:
    kinds = [constraint.kind for constraint in column.constraints]
    if any(isinstance(kind, _RULES) for kind in kinds):
        return f"the new rule of the column {column.name}"
    is_required = any(
        isinstance(kind, exp.NotNullColumnConstraint) and not kind.args.get("allow_null")
        for kind in kinds
    )
    if is_required and not any(isinstance(kind, exp.DefaultColumnConstraint) for kind in kinds):
        return f"the new column {column.name}, which must have a value and has no default,"
    return None


def check_unchanged(folder: Path, base: str) -> None:
    """Check that the migrations of a base commit are as they were.

    Every environment that has applied one refuses the release that has it in another form. Without
    `base`, it is `origin/main`, or `HEAD` where there is no such branch. Without a git history, a
    line says that nothing was compared.

    Raises:
        UserError: one was changed, renamed or deleted, or git does not know the base.
    """
    try:
        commit, name = base_commit(folder, base)
        known = git(folder, "ls-tree", "--name-only", commit, "./").split()
    except GitRefused:
        if base:
            raise
        print("The migrations were not compared: there is no git history here.")
        return
    for file in (each for each in known if each.endswith(".sql")):
        path = folder / file
        if not path.is_file() or path.read_text() != git(folder, "show", f"{commit}:./{file}"):
            raise UserError(
                f"{file}: {name} has it, so that environments may have applied it: restore it with "
                f"`git checkout {name} -- service/migrations/{file}`, and put the change in a new "
                "file"
            )


def main(variables: Mapping[str, str] = os.environ) -> None:
    """Check all migrations of the service, and compare them with the git ref `BASE`.

    Raises:
        UserError: one of them is rejected.
    """
    verdicts = load_verdicts()
    for file in sorted(MIGRATIONS.glob("*.sql")):
        check(file)
        if refused := refusal(file.stem, verdicts.get(file.stem), file.read_text()):
            raise UserError(refused)
    check_unchanged(MIGRATIONS, variables.get("BASE", ""))


if __name__ == "__main__":
    sys.exit(exit_code(main))
