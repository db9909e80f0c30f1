"""Checks answers against the OpenAPI document."""

from __future__ import annotations

import os
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from trading.errors import BatchRefused, CursorGone, InvalidCursor, KeyMismatch, KeyReused

# The API may refuse a request that its schema allows: a schema cannot say everything.
_BEYOND_SCHEMA = {
    error.code for error in (BatchRefused, CursorGone, InvalidCursor, KeyMismatch, KeyReused)
}


def examples(few: int, many: int | None = None) -> settings:
    """`few` cases, the same in each run; with `FUZZ=full`, `many` cases, new ones each time."""
    full = many is not None and os.environ.get("FUZZ") == "full"
    return settings(
        max_examples=many if full and many else few,
        deadline=None,
        derandomize=not full,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def check_answer(case: schemathesis.Case, response: Any, *excluded: Any) -> None:
    """Fail on a 5xx, an undocumented status, or an answer that its schema does not allow."""
    if response.json().get("code") in _BEYOND_SCHEMA:
        excluded = (*excluded, positive_data_acceptance)
    case.validate_response(response, excluded_checks=list(excluded))
    assert response.status_code < 500
