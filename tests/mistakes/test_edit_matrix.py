"""Each kind of edit of an environment's file has a verdict, and docs/reference has all of them.

`make test-mistakes` plans all edits against deployed environments and compares the table;
`MISTAKES=write` writes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from infra.config.environment import load_environment
from infra.config.options import Settings
from shared.cli.errors import UserError
from tests.mistakes.campaign import Tally
from tests.mistakes.matrix import EDITS, PAGE, PROFILES, column, page, written
from tests.mistakes.mistakes import DEPLOYED
from tests.mistakes.operator import Shop, as_toml, edited

# What a deploy refuses even of a plan that was reviewed.
REFUSED = ("loses", "cannot work", "refused")


def test_every_key_of_an_environments_file_has_a_row() -> None:
    keys = {
        f"{section}.{key}"
        for section, field in Settings.model_fields.items()
        for key in getattr(field.annotation, "model_fields", {})
    }
    regional = {"regions.us-east-1.cidr", "regions.us-east-1.backup_region"}
    assert set(EDITS) == keys | regional | {"profile"}
    edits = {f"{key} = {json.dumps(value)}" for key, values in EDITS.items() for value in values}
    assert written().keys() == {(edit, profile) for edit in edits for profile in PROFILES}


def test_the_table_knows_which_files_are_not_valid(tmp_path: Path) -> None:
    """This part of the table needs no deployed environment."""
    file = tmp_path / "edited.toml"
    for (edit, profile), word in written().items():
        key, _, value = edit.partition(" = ")
        file.write_text(as_toml(edited({"profile": profile}, key, json.loads(value))))
        try:
            load_environment({"ENVIRONMENT_FILE": str(file)})
        except UserError:
            assert word == "refused", (edit, profile)
        else:
            assert word != "refused", (edit, profile)


def test_the_table_has_the_verdict_on_every_edit(shops: Mapping[str, Shop], tally: Tally) -> None:
    edits = [(key, value) for key, values in EDITS.items() for value in values]
    before = {profile: shops[name].resources() for profile, name in DEPLOYED.items()}
    # CDKTF works in one thread alone, and Terraform takes the folder of its stack.
    with ProcessPoolExecutor(len(PROFILES), get_context("spawn")) as pool:
        started = {}
        for profile in PROFILES:
            shop = shops[DEPLOYED[profile]]
            documents = [shop.document, *(edited(shop.document, *edit) for edit in edits)]
            texts = [as_toml(document) for document in documents]
            started[profile] = pool.submit(column, shop.variables(), texts)
        columns = {profile: future.result() for profile, future in started.items()}
    for profile, name in DEPLOYED.items():
        tally.made += sum(word in REFUSED for word in columns[profile])
        assert shops[name].resources() == before[profile]
        assert shops[name].trades()
    table = page(
        {
            (f"{key} = {json.dumps(value)}", profile): word
            for profile, words in columns.items()
            for (key, value), word in zip(edits, words, strict=True)
        }
    )
    if os.environ.get("MISTAKES") == "write":
        PAGE.write_text(table)
    assert PAGE.read_text() == table
