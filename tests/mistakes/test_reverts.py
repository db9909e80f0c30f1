"""From each edit that a deploy applies, the file as it was before leads back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from infra.config.environment import load_environment
from shared.cli.errors import UserError
from tests.mistakes.campaign import Tally
from tests.mistakes.matrix import EDITS, PROFILES, written
from tests.mistakes.mistakes import DEPLOYED
from tests.mistakes.operator import Document, Shop, as_toml, edited

APPLIED = ("nothing lost", "interrupts", "loses")
# It decides about too much to be combined with others.
ALONE = "profile"
GUARDED = "first deploy with prevent_destroy = false"


def combined(document: Document, edits: Mapping[str, Any]) -> Document:
    """The file with several edits."""
    for key, value in edits.items():
        document = edited(document, key, value)
    return document


def is_valid(document: Document, file: Path) -> bool:
    """Whether the file can be deployed; `file` is where it is written."""
    file.write_text(as_toml(document))
    try:
        load_environment({"ENVIRONMENT_FILE": str(file)})
    except UserError:
        return False
    return True


def rounds(profile: str, file: Path) -> list[dict[str, Any]]:
    """All edits that a deploy applies, in as few deploys as their keys and the rules allow."""
    document: Document = {"profile": profile}
    words = written()
    found: list[dict[str, Any]] = []
    for key, values in EDITS.items():
        for value in values:
            if words[f"{key} = {json.dumps(value)}", profile] not in APPLIED:
                continue
            for edits in found:
                together = combined(document, {**edits, key: value})
                if not {key, ALONE}.intersection(edits) and is_valid(together, file):
                    edits[key] = value
                    break
            else:
                found.append({key: value})
    return found


def apply_and_revert(shop: Shop, edits: Mapping[str, Any]) -> None:
    """Deploy edits, and then the file as it was before."""
    there = combined(shop.document, edits)
    shop.lead_to(there)
    back = shop.reviewed(shop.document)
    if GUARDED in back.stdout:
        shop.lead_to(edited(there, "protection.prevent_destroy", False))
        back = shop.reviewed(shop.document)
    assert back.returncode == 0, back.stdout


def test_every_edit_that_is_applied_can_be_taken_back(
    shops: Mapping[str, Shop], tmp_path: Path, tally: Tally
) -> None:
    planned = {profile: rounds(profile, tmp_path / "edited.toml") for profile in PROFILES}

    def all_of(profile: str) -> None:
        for edits in planned[profile]:
            apply_and_revert(shops[DEPLOYED[profile]], edits)

    for profile in PROFILES:
        tally.made += sum(map(len, planned[profile]))
    with (
        tally.mistake(*(shops[DEPLOYED[profile]] for profile in PROFILES)),
        ThreadPoolExecutor(len(PROFILES)) as pool,
    ):
        for done in pool.map(all_of, PROFILES):
            assert done is None
    for profile in PROFILES:
        tally.check_not_stuck(shops[DEPLOYED[profile]])
