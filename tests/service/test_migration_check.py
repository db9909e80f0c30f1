from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from service.tools import migration_check
from service.tools.migration_check import check, check_unchanged
from shared.cli.errors import UserError


def checked(folder: Path, sql: str) -> None:
    file = folder / "0002_change.sql"
    file.write_text(sql)
    check(file)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE notes (id INT NOT NULL PRIMARY KEY, text VARCHAR(10) UNIQUE)",
        "CREATE INDEX by_side ON trades (side)",
        "ALTER TABLE trades ADD COLUMN venue VARCHAR(8) NULL",
        "ALTER TABLE trades ADD COLUMN venue VARCHAR(8) NOT NULL DEFAULT 'X' AFTER price",
        "ALTER TABLE trades ADD COLUMN a INT, ADD COLUMN b INT, ADD INDEX a_b (a, b)",
        "ALTER TABLE trades ADD COLUMN a INT, ALGORITHM=INSTANT",
    ],
)
def test_what_only_adds_is_accepted(tmp_path: Path, sql: str) -> None:
    checked(tmp_path, sql)


BREAKING = [
    "DROP TABLE trades",
    "DROP INDEX trades_by_time ON trades",
    "RENAME TABLE trades TO deals",
    "TRUNCATE TABLE trades",
    "DELETE FROM trades",
    "UPDATE trades SET side = 'BUY'",
    "INSERT INTO trades (trade_id) VALUES ('1')",
    "CREATE OR REPLACE TABLE trades (id INT)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE UNIQUE INDEX one_symbol ON trades (symbol)",
    "ALTER DATABASE trading CHARACTER SET latin1",
    "ALTER TABLE trades RENAME TO deals",
    "ALTER TABLE trades DROP COLUMN price",
    "ALTER TABLE trades ADD COLUMN a INT, DROP COLUMN price",
    "ALTER TABLE trades RENAME COLUMN price TO amount",
    "ALTER TABLE trades CHANGE price amount DECIMAL(18, 6)",
    "ALTER TABLE trades MODIFY price DECIMAL(18, 6) NOT NULL",
    "ALTER TABLE trades ALTER COLUMN side SET DEFAULT 'SELL'",
    "ALTER TABLE trades DROP PRIMARY KEY",
    "ALTER TABLE trades DROP CONSTRAINT trades_side",
    "ALTER TABLE trades ADD CONSTRAINT few CHECK (quantity < 10)",
    "ALTER TABLE trades ADD UNIQUE KEY one_symbol (symbol)",
    "ALTER TABLE trades ADD COLUMN venue VARCHAR(8) NOT NULL",
    "ALTER TABLE trades ADD COLUMN venue VARCHAR(8) NOT NULL DEFAULT 'X' UNIQUE",
    "ALTER TABLE trades ADD COLUMN venue INT PRIMARY KEY",
    "GRANT ALL ON trades TO trade_app",
    "CREATE TRIGGER t BEFORE INSERT ON trades FOR EACH ROW BEGIN SET NEW.quantity = 1; END",
]


@pytest.mark.parametrize("sql", BREAKING)
def test_what_may_break_the_running_release_is_rejected_unless_a_reason_is_given(
    tmp_path: Path, sql: str
) -> None:
    with pytest.raises(UserError, match=r"^0002_change\.sql: .* may break the running release"):
        checked(tmp_path, sql)
    with pytest.raises(UserError):
        checked(tmp_path, f"-- safe because\n{sql}")
    checked(tmp_path, f"-- safe because no release reads it\n{sql}")


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("ALTER TABLE trades ADD COLUMN a INT; DROP TABLE trades", "has 2 statements"),
        ("CREATE TABLE (", "not understood as MySQL"),
        ("-- nothing", "may break"),
        ("ALTER TABLE trades ADD COLUMN IF NOT EXISTS a INT", "MySQL does not have 'COLUMN IF NOT"),
        ("ALTER TABLE trades ADD IF NOT EXISTS a INT", "MySQL does not have 'ADD IF NOT EXISTS'"),
        ("CREATE INDEX IF NOT EXISTS i ON trades (side)", "MySQL does not have 'INDEX IF NOT"),
        ("ALTER TABLE trades DROP COLUMN IF EXISTS a", "MySQL does not have 'COLUMN IF EXISTS'"),
    ],
)
def test_what_is_not_one_statement_is_rejected(tmp_path: Path, sql: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        checked(tmp_path, sql)


def test_the_services_own_migrations_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migration_check.main({"BASE": "HEAD"})
    (tmp_path / "0001_drop.sql").write_text("DROP TABLE trades")
    monkeypatch.setattr(migration_check, "MIGRATIONS", tmp_path)
    with pytest.raises(UserError):
        migration_check.main({})


@pytest.fixture
def applied(tmp_path: Path) -> Path:
    """A folder of migrations in a repository whose only commit has one."""
    folder = tmp_path / "service" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_create_notes.sql").write_text("CREATE TABLE notes (id INT)")
    (folder / "README").write_text("Not a migration.")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=base")
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", folder, *identity, *arguments], check=True)


def test_a_new_migration_may_be_edited(applied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (applied / "0002_add.sql").write_text("ALTER TABLE notes ADD COLUMN a INT")
    (applied / "README").write_text("Still not a migration.")
    check_unchanged(applied, "")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("change", ["edit", "delete", "rename"])
def test_an_applied_migration_is_never_changed(applied: Path, change: str) -> None:
    file = applied / "0001_create_notes.sql"
    if change == "edit":
        file.write_text("CREATE TABLE notes (id BIGINT)")
    elif change == "delete":
        file.unlink()
    else:
        file.rename(applied / "0001_notes.sql")
    git(applied, "tag", "v1")
    with pytest.raises(UserError, match=r"0001_create_notes\.sql: HEAD has it, .* in a new file"):
        check_unchanged(applied, "")
    with pytest.raises(UserError, match="`git checkout v1 -- service/migrations/0001_create_notes"):
        check_unchanged(applied, "v1")


def test_without_a_git_history_nothing_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    check_unchanged(tmp_path, "")
    assert "there is no git history here" in capsys.readouterr().out
    with pytest.raises(UserError, match="BASE 'v1': git knows no such commit"):
        check_unchanged(tmp_path, "v1")
