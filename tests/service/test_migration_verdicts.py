from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from service.tools.migration_verdicts import (
    COPY,
    INPLACE,
    INSTANT,
    METADATA,
    ROWS,
    Measured,
    Verdict,
    checksum,
    load_verdicts,
    refusal,
    save_verdicts,
    verdict_table,
)
from shared.cli.errors import UserError

TEXT = "ALTER TABLE trades ADD COLUMN venue VARCHAR(8) NULL"
GOOD = Verdict(checksum(TEXT), INSTANT, "NONE", rebuilds=False)
QUICK = Measured(rows=1_000_000, seconds=2.0, gap_seconds=0.3, disk_megabytes=80, errors=0)


def judged(verdict: Verdict | None, text: str = TEXT) -> str:
    if verdict is not None:
        verdict = dataclasses.replace(verdict, checksum=checksum(text))
    return refusal("0009_venue", verdict, text)


@pytest.mark.parametrize(
    "verdict",
    [
        GOOD,
        Verdict("", INPLACE, "NONE", rebuilds=False),
        Verdict("", METADATA, "NONE", rebuilds=False),
        dataclasses.replace(GOOD, measured=QUICK),
        dataclasses.replace(GOOD, measured=dataclasses.replace(QUICK, gap_seconds=1.0)),
    ],
)
def test_a_migration_that_stops_no_trade_is_accepted(verdict: Verdict) -> None:
    assert judged(verdict) == ""


@pytest.mark.parametrize(
    ("verdict", "complaint"),
    [
        (None, "no server has judged this file"),
        (Verdict("", COPY, "SHARED", rebuilds=True), "copies the table"),
        (Verdict("", INPLACE, "SHARED", rebuilds=False), "locks the table (SHARED)"),
        (Verdict("", METADATA, "EXCLUSIVE", rebuilds=False), "locks the table (EXCLUSIVE)"),
        (Verdict("", INPLACE, "NONE", rebuilds=True), "fails (1062) when a caller repeats a key"),
        (Verdict("", ROWS, "NONE", rebuilds=False), "many rows in one transaction"),
        (
            dataclasses.replace(GOOD, measured=dataclasses.replace(QUICK, gap_seconds=1.4)),
            "stopped trades for 1.4 s at 1,000,000 rows",
        ),
        (
            dataclasses.replace(GOOD, measured=dataclasses.replace(QUICK, errors=3)),
            "made 3 requests fail",
        ),
        (
            dataclasses.replace(GOOD, measured=dataclasses.replace(QUICK, failure="1062")),
            "failed under load: 1062",
        ),
    ],
)
def test_a_migration_that_stops_trades_is_refused_unless_its_author_says_why_it_is_safe(
    verdict: Verdict | None, complaint: str
) -> None:
    assert complaint in judged(verdict)
    excused = judged(verdict, f"-- safe because nobody trades on Sunday\n{TEXT}")
    assert bool(excused) == (verdict is None)


def test_a_file_that_changed_after_its_verdict_is_judged_again() -> None:
    assert "run `make check-migration`" in refusal("0009_venue", GOOD, f"{TEXT} AFTER price")


@pytest.mark.parametrize(
    ("text", "is_accepted"),
    [
        ("UPDATE trades SET a = 1 WHERE a IS NULL LIMIT 1000", True),
        ("-- loses empty notes\nDELETE FROM notes WHERE a IS NULL\nLIMIT 20;\n", True),
        ("UPDATE trades SET a = 1 WHERE a IS NULL", False),
        ("UPDATE trades SET a = 1 WHERE a IS NULL LIMIT 100000", False),
        # It would stop after the first batch: the same rows again do not change.
        ("-- loses the old values\nUPDATE trades SET a = 1 LIMIT 1000", False),
    ],
)
def test_rows_may_change_in_small_batches_that_come_to_an_end(text: str, is_accepted: bool) -> None:
    verdict = Verdict("", ROWS, "NONE", rebuilds=False)
    assert (judged(verdict, f"-- repeat until no row changes\n{text}") == "") is is_accepted
    assert "many rows" in judged(verdict, text)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.json"
    assert load_verdicts(file) == {}
    verdicts = {"0002_b": dataclasses.replace(GOOD, measured=QUICK), "0001_a": GOOD}
    save_verdicts(verdicts, file)
    assert load_verdicts(file) == verdicts
    assert file.read_text().index("0001_a") < file.read_text().index("0002_b")


@pytest.mark.parametrize("text", ["{", '{"0001_a": {"no": 1}}', '{"0001_a": 1}'])
def test_an_invalid_record_is_one_clear_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "verdicts.json"
    file.write_text(text)
    with pytest.raises(UserError, match="not a record of verdicts"):
        load_verdicts(file)


def test_the_table_shows_figures_and_the_reasons_of_exceptions() -> None:
    excused = f"-- safe because nobody trades on Sunday\n{TEXT}"
    texts = {"0001_a": TEXT, "0002_b": excused, "0003_c": TEXT, "0004_d": TEXT}
    copies = Verdict(checksum(TEXT), COPY, "SHARED", rebuilds=True)
    lines = verdict_table(
        texts,
        {
            "0001_a": dataclasses.replace(GOOD, measured=QUICK),
            "0002_b": dataclasses.replace(copies, checksum=checksum(excused)),
            "0003_c": copies,
        },
    ).splitlines()
    assert lines[1].split() == [
        *("0001_a", "INSTANT", "NONE", "2.0", "0.30", "s", "80", "MB", "0", "accepted")
    ]
    assert lines[2].endswith(
        "copies the table, and nobody can trade meanwhile; safe because nobody trades on Sunday"
    )
    assert "COPY, rebuilds" in lines[3]
    assert lines[3].endswith("refused")
    assert lines[4].endswith("not judged")


def test_a_migration_that_loses_data_is_refused_until_its_author_says_what_goes() -> None:
    text = "-- safe because no release reads it\nALTER TABLE trades DROP COLUMN venue"
    assert judged(GOOD, text) == (
        "0009_venue: loses the column venue. If this is meant, say what goes in a line "
        "`-- loses ...`"
    )
    said = f"-- loses the venue, which no trade has\n{text}"
    assert judged(GOOD, said) == ""
    shown = verdict_table(
        {"0009_a": said}, {"0009_a": Verdict(checksum(said), INSTANT, "NONE", rebuilds=False)}
    )
    assert "loses the venue, which no trade has; safe because no release reads it" in shown
