"""What an execution environment does when it starts from a snapshot."""

from __future__ import annotations

import random
import sys

import pytest
import snapshot_restore_py
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from tests.service.conftest import Call, rows
from trading import snapshot

ORDER = '{"symbol":"AAPL","quantity":100}'


def connections(schema: Connection[Cursor]) -> set[int]:
    listed = rows(schema, "SELECT id FROM information_schema.processlist WHERE user = 'trade_app'")
    return {connection for (connection,) in listed}


def restore() -> None:
    """Do what Lambda does after it restores a snapshot."""
    for function, arguments, options in snapshot_restore_py.get_after_restore():
        function(*arguments, **options)


def test_a_restored_environment_opens_a_new_connection(
    call: Call, schema: Connection[Cursor]
) -> None:
    assert call(ORDER)[0] == 200
    before = connections(schema)
    restore()
    assert call(ORDER)[0] == 200
    assert connections(schema) - before


def test_environments_that_start_from_one_snapshot_draw_different_random_numbers(
    call: Call,
) -> None:
    random.seed(7)
    same = random.random()
    random.seed(7)
    restore()
    assert random.random() != same


def test_where_no_snapshots_are_taken_nothing_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", None)
    before = len(snapshot_restore_py.get_after_restore())
    snapshot.prepare(forget=dict)
    assert len(snapshot_restore_py.get_after_restore()) == before
