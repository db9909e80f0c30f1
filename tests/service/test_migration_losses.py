"""A migration that takes data away says so first."""

import pytest

from service.tools.migration_check import MIGRATIONS
from service.tools.migration_losses import admitted, losses, unsaid


@pytest.mark.parametrize(
    ("sql", "lost"),
    [
        ("DROP TABLE IF EXISTS `trades`", ["the table trades"]),
        ("drop schema trading", ["the table trading"]),
        ("TRUNCATE trades", ["rows"]),
        ("-- all of them\nDELETE FROM trades", ["rows"]),
        ("WITH old AS (SELECT 1) DELETE FROM trades WHERE a IN (SELECT * FROM old)", ["rows"]),
        ("REPLACE INTO trades VALUES (1)", ["rows"]),
        ("ALTER TABLE trades DROP PARTITION p1", ["rows"]),
        ("ALTER TABLE trades TRUNCATE PARTITION p1", ["rows"]),
        (
            "ALTER TABLE trades DROP a, DROP COLUMN `b`, DROP INDEX c",
            ["the column a", "the column b"],
        ),
        ("UPDATE trades SET a = 1", ["values of the column a"]),
        (
            "UPDATE trades SET a = IF(b = 1, (SELECT c = 2), 3), trades.d = 4 WHERE a IS NULL",
            ["values of the column d"],
        ),
        (
            "INSERT INTO trades VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)",
            ["values of the column a"],
        ),
        ("UPDATE trades SET a = 1 WHERE a IS NULL AND b = 2 LIMIT 10", []),
        ("INSERT INTO trades SELECT 1", []),
        ("CREATE TRIGGER t AFTER DELETE ON trades FOR EACH ROW DELETE FROM notes", []),
        ("CREATE TABLE notes (a INT)", []),
        ("ALTER TABLE trades ADD COLUMN a INT, DROP CONSTRAINT b", []),
        ("DROP TRIGGER t", []),
        ("DROP INDEX i ON trades", []),
    ],
)
def test_what_goes_is_named(sql: str, lost: list[str]) -> None:
    assert list(losses(sql)) == lost
    assert unsaid(sql) == ", ".join(lost)
    assert unsaid(f"-- loses what nobody needs\n{sql}") == ""


def test_a_loss_is_described_in_the_authors_words() -> None:
    assert admitted("-- loses the notes\nDROP TABLE notes") == "the notes"
    assert admitted("DROP TABLE notes -- loses the notes") == ""


def test_no_migration_of_the_service_loses_data() -> None:
    assert {file.name: unsaid(file.read_text()) for file in MIGRATIONS.glob("*.sql")} == {
        file.name: "" for file in MIGRATIONS.glob("*.sql")
    }
