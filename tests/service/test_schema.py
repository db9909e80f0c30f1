"""Which migrations a release may bring. The packages of earlier releases lie in an emulated S3."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.deploy.kept_packages import KEPT, Package, keep_package, kept_versions
from service.deploy.schema import (
    built_schema,
    check_added_migrations,
    check_migrations,
    gone_columns,
)
from shared.cli.errors import UserError
from tests.support.emulator import REGION, Emulator
from trading.store import COLUMNS

SERVICE = Path(__file__).resolve().parents[2] / "service"
BUCKET, STACK = "packages", "trades"
ADD = "ALTER TABLE trades ADD COLUMN venue VARCHAR(8) NULL"
DROP = (
    "-- safe because no release reads it\n-- loses the prices\nALTER TABLE trades DROP COLUMN price"
)


@pytest.mark.parametrize(
    ("sql", "gone"),
    [
        (DROP, ["price"]),
        ("ALTER TABLE trades DROP price, DROP INDEX by_price, DROP `side`", ["price", "side"]),
        ("ALTER TABLE trades RENAME COLUMN price TO amount", ["price"]),
        ("ALTER TABLE trades CHANGE price amount DECIMAL(18, 6)", ["price"]),
        ("ALTER TABLE trades CHANGE COLUMN price amount DECIMAL(18, 6)", ["price"]),
        ("ALTER TABLE trades DROP PRIMARY KEY, DROP CONSTRAINT price, DROP CHECK price", []),
        ("-- DROP COLUMN price comes later\nDROP TRIGGER price", []),
        (ADD, []),
    ],
)
def test_columns_that_go_are_seen(sql: str, gone: list[str]) -> None:
    assert gone_columns(sql) == gone


def test_a_migration_without_a_good_verdict_is_not_deployed() -> None:
    with pytest.raises(UserError, match="0099_add: no server has judged this file"):
        check_migrations({"0099_add": ADD})


def test_the_words_of_a_build_are_the_names_of_the_schema_that_its_code_has(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    migrations = tmp_path / "MigrationFunction" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "0001_a.sql").write_text("CREATE TABLE trades (price INT, side INT) -- venue")
    code = tmp_path / "TradeFunction" / "trading"
    code.mkdir(parents=True)
    (code / "store.py").write_text("COLUMNS = ('price', 'venue')")
    schema = built_schema(template)
    assert schema.migrations == ["0001_a"]
    assert schema.words == ["price"]


def test_every_column_of_the_service_is_a_word_of_its_build(tmp_path: Path) -> None:
    shutil.copytree(SERVICE / "src" / "trading", tmp_path / "TradeFunction" / "trading")
    shutil.copytree(SERVICE / "migrations", tmp_path / "MigrationFunction" / "migrations")
    assert set(COLUMNS) <= set(built_schema(tmp_path / "template.yaml").words)


@pytest.fixture
def kept(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two releases that a rollback can bring back: the first reads the price."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    for version, words in ((1, ["price", "side"]), (2, ["side"])):
        package = Package("build", {}, "template", ["0001_create"], words)
        keep_package(STACK, BUCKET, REGION, version, package)
    yield
    for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=each["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def release(texts: dict[str, str]) -> None:
    check_added_migrations(STACK, BUCKET, REGION, texts)


def test_a_release_shows_the_migrations_that_it_adds(
    kept: None, capsys: pytest.CaptureFixture[str]
) -> None:
    release({"0001_create": "CREATE TABLE trades (id INT)", "0002_add": ADD})
    shown = capsys.readouterr().out
    assert "0002_add" in shown
    assert "0001_create" not in shown


def test_a_column_goes_once_no_kept_release_reads_it(kept: None) -> None:
    texts = {"0001_create": "", "0002_drop": DROP}
    with pytest.raises(UserError, match=r"0002_drop: takes the column price .* releases`: 1\. A"):
        release(texts)
    keep_package(STACK, BUCKET, REGION, 1, Package("build", {}, "", ["0001_create"], ["side"]))
    release(texts)
    release({**texts, "0003_other": "ALTER TABLE trades DROP COLUMN note"})


def test_a_package_that_does_not_say_what_it_reads_may_read_everything(kept: None) -> None:
    keep_package(STACK, BUCKET, REGION, 1, Package("build", {}, ""))
    with pytest.raises(UserError, match=r"releases`: 1\. A"):
        release({"0002_drop": DROP})


def test_a_first_release_has_no_one_to_break(
    emulator: Emulator, kept: None, capsys: pytest.CaptureFixture[str]
) -> None:
    check_added_migrations("another", BUCKET, REGION, {"0002_drop": DROP})
    assert capsys.readouterr().out == ""


def test_what_is_no_package_neither_stops_a_release_nor_takes_the_place_of_one(
    emulator: Emulator, kept: None
) -> None:
    s3 = emulator.client("s3")
    for name in ("note.txt", "0.json", "x/3.json", *(f"{each}.json" for each in range(100, 130))):
        s3.put_object(Bucket=BUCKET, Key=f"{STACK}/releases/{name}", Body=b"")
    assert min(kept_versions(STACK, BUCKET, REGION)) == 1
    keep_package(STACK, BUCKET, REGION, 3, Package("build", {}, ""))
    assert {1, 2, 3} <= kept_versions(STACK, BUCKET, REGION)
    with pytest.raises(UserError, match=r"releases/129\.json is no package .* delete it"):
        release({"0002_drop": DROP})


def test_the_oldest_packages_go(kept: None) -> None:
    for version in range(3, KEPT + 2):
        keep_package(STACK, BUCKET, REGION, version, Package("build", {}, ""))
    assert kept_versions(STACK, BUCKET, REGION) == set(range(2, KEPT + 2))
