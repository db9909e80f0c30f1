"""A server, and the rules about code, give each migration of the corpus its verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymysql.err import MySQLError

from local.database_server import version
from local.migration_trial.probe import probe
from local.migration_trial.rig import SCRATCH, Rig, Snapshot
from migration.runner import load_migrations
from service.tools.migration_check import MIGRATIONS, check
from service.tools.migration_verdicts import reason, refusal
from shared.cli.errors import UserError
from tests.migrations.corpus import Case, cases

CASES = cases()


@pytest.fixture(scope="session")
def schema(trial_rig: Rig) -> Snapshot:
    trial_rig.migrate(SCRATCH, load_migrations(MIGRATIONS))
    return trial_rig.snapshot(SCRATCH)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_migration_gets_its_verdict(
    trial_rig: Rig, schema: Snapshot, tmp_path: Path, case: Case
) -> None:
    trial_rig.restore(SCRATCH, schema)
    trial_rig.fill(SCRATCH, 10)
    with trial_rig.connect(SCRATCH) as connection:
        if case.setup:
            connection.query(case.setup)
        if case.fails:
            with pytest.raises(MySQLError) as error:
                probe(connection, case.sql)
            assert error.value.args[0] == case.fails
            return
        verdict = probe(connection, case.sql)
    # Other versions of MySQL may choose otherwise. What is refused must be the same.
    if version().startswith("9."):
        assert (verdict.algorithm, verdict.lock, verdict.rebuilds) == (
            case.algorithm,
            case.lock,
            case.rebuilds,
        )
    file = tmp_path / "0099_case.sql"
    file.write_text(case.sql)
    found = ""
    try:
        check(file)
    except UserError as error:
        found = str(error)
    found += refusal("0099_case", verdict, case.sql)
    assert bool(found) == bool(case.refused)
    assert case.refused in found


def test_the_corpus_is_large_and_has_good_and_bad_ones() -> None:
    accepted = [case for case in CASES if not case.refused and not case.fails]
    assert len(CASES) >= 40
    assert len(accepted) >= 12
    assert len(CASES) - len(accepted) >= 12
    assert all(reason(case.sql) for case in accepted if "MODIFY" in case.sql)
