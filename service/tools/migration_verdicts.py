"""What a real MySQL server said of each migration, and which answers are refused.

`make check-migration` writes `service/migration-verdicts.json`. `make lint` and
`make deploy-service` read it. So a deploy needs no database server to refuse a migration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from service.tools.migration_losses import LOSS, admitted, unsaid
from shared.cli.errors import UserError
from shared.cli.table import table

RECORD = Path(__file__).parents[1] / "migration-verdicts.json"
REASON = "-- safe because "
BATCHES = "-- repeat until no row changes"

# The longest time without a booking that a migration may cause.
LONGEST_GAP_SECONDS = 1.0

_MOST_ROWS = 1000  # of a batch
_LIMIT = re.compile(r"\bLIMIT\s+(\d+)\s*;?\s*\Z", re.IGNORECASE)
_WHERE = re.compile(r"\bWHERE\b", re.IGNORECASE)

# What the server does with the table.
METADATA, INSTANT, INPLACE, COPY, ROWS = "METADATA", "INSTANT", "INPLACE", "COPY", "ROWS"


@dataclass(frozen=True)
class Measured:
    """What callers saw while the statement ran on a table of `rows` rows under load.

    `gap_seconds` is the longest time without a booking. `errors` are failed requests in both
    versions of the code, from the statement to the rollback of the code. `failure` is why the
    statement failed, as it can under load alone.
    """

    rows: int
    seconds: float
    gap_seconds: float
    disk_megabytes: float
    errors: int
    failure: str = ""


@dataclass(frozen=True)
class Verdict:
    """How the server carries out a statement.

    `algorithm` is INSTANT, INPLACE or COPY for a change of a table, ROWS for a change of rows, and
    METADATA for a new table or trigger. `lock` is what others may not do meanwhile: NONE, SHARED
    (no writing) or EXCLUSIVE. `rebuilds` says whether the table is written again.
    """

    checksum: str
    algorithm: str
    lock: str
    rebuilds: bool
    measured: Measured | None = None


def checksum(text: str) -> str:
    """SHA-256 of a migration, in hexadecimal, as the runner records it."""
    return sha256(text.encode()).hexdigest()


def reason(text: str) -> str:
    """Why a migration that does more than add is safe, in its author's words; may be empty."""
    lines = (line.strip() for line in text.splitlines())
    return next((line.removeprefix(REASON) for line in lines if line.startswith(REASON)), "")


def objections(verdict: Verdict, text: str) -> Iterator[str]:
    """The objections to a migration; each is a sentence without its subject."""
    if verdict.algorithm == COPY:
        yield "copies the table, and nobody can trade meanwhile"
    elif verdict.lock != "NONE":
        yield f"locks the table ({verdict.lock}), and nobody can trade meanwhile"
    elif verdict.rebuilds:
        # https://dev.mysql.com/doc/refman/8.0/en/innodb-online-ddl-failure-conditions.html
        yield "rebuilds the table, which fails (1062) when a caller repeats a key meanwhile"
    elif verdict.algorithm == ROWS and not _is_in_batches(text):
        yield (
            "may change many rows in one transaction; limit the statement (`LIMIT 1000` at most), "
            f"let its WHERE leave out what is done, and add a line `{BATCHES}`"
        )
    measured = verdict.measured
    if measured and measured.gap_seconds > LONGEST_GAP_SECONDS:
        yield f"stopped trades for {measured.gap_seconds:.1f} s at {measured.rows:,} rows"
    if measured and measured.failure:
        yield f"failed under load: {measured.failure}"
    if measured and measured.errors:
        yield f"made {measured.errors} requests fail, in the released code or in the new code"


def _is_in_batches(text: str) -> bool:
    limit = _LIMIT.search(text)
    is_small = limit is not None and int(limit[1]) <= _MOST_ROWS
    return BATCHES in text.splitlines() and is_small and _WHERE.search(text) is not None


def refusal(name: str, verdict: Verdict | None, text: str) -> str:
    """Why a migration is refused; empty if it is accepted.

    A reason in the file (`-- safe because …`) accepts whatever the server said. It does not accept
    that data goes: a line of its own says that (`-- loses …`).
    """
    if lost := unsaid(text):
        return f"{name}: loses {lost}. If this is meant, say what goes in a line `{LOSS}...`"
    if verdict is None or verdict.checksum != checksum(text):
        return f"{name}: no server has judged this file; run `make check-migration`"
    found = "; ".join(objections(verdict, text))
    if not found or reason(text):
        return ""
    return f"{name}: {found}. If this is acceptable, say why in a line `{REASON}...`"


def load_verdicts(file: Path = RECORD) -> dict[str, Verdict]:
    """The recorded verdicts, by the migration's file name without `.sql`.

    Raises:
        UserError: the record is not readable.
    """
    if not file.is_file():
        return {}
    try:
        found: Mapping[str, dict[str, object]] = json.loads(file.read_text())
        return {name: _verdict(dict(each)) for name, each in found.items()}
    except (ValueError, TypeError) as error:
        raise UserError(f"{file}: not a record of verdicts ({error})") from None


def save_verdicts(verdicts: Mapping[str, Verdict], file: Path = RECORD) -> None:
    """Write the record."""
    found = {name: asdict(verdicts[name]) for name in sorted(verdicts)}
    file.write_text(json.dumps(found, indent=2) + "\n")


def verdict_table(texts: Mapping[str, str], verdicts: Mapping[str, Verdict]) -> str:
    """The verdicts in columns, with the reasons of the exceptions."""
    rows: list[tuple[str, ...]] = [
        ("MIGRATION", "ALGORITHM", "LOCK", "SECONDS", "LONGEST GAP", "DISK", "ERRORS", "")
    ]
    for name, text in texts.items():
        verdict = verdicts.get(name)
        if verdict is None:
            rows.append((name, *[""] * 6, "not judged"))
            continue
        algorithm = f"{verdict.algorithm}{', rebuilds' if verdict.rebuilds else ''}"
        rows.append(
            (name, algorithm, verdict.lock, *_figures(verdict.measured), _end(name, verdict, text))
        )
    return table(rows)


def _figures(measured: Measured | None) -> tuple[str, str, str, str]:
    if measured is None:
        return "", "", "", ""
    return (
        f"{measured.seconds:.1f}",
        f"{measured.gap_seconds:.2f} s",
        f"{measured.disk_megabytes:.0f} MB",
        str(measured.errors),
    )


def _end(name: str, verdict: Verdict, text: str) -> str:
    if refusal(name, verdict, text):
        return "refused"
    why, lost = reason(text), admitted(text)
    said = [
        *([f"loses {lost}"] if lost else []),
        *objections(verdict, text),
        *([f"safe because {why}"] if why else []),
    ]
    return "; ".join(said) or "accepted"


def _verdict(found: dict[str, object]) -> Verdict:
    measured = found.pop("measured", None)
    known = Measured(**measured) if isinstance(measured, dict) else None
    return Verdict(**found, measured=known)  # type: ignore[arg-type]
