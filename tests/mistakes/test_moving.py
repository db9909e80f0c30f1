"""docs/how-to/move-to-a-new-environment.md, run command by command."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Mapping
from typing import Any

import pytest
import requests

from infra.gate.obstacles import GLOBAL_WAY
from local.platform import trade_url
from tests.mistakes.campaign import Tally
from tests.mistakes.mistakes import STANDARD
from tests.mistakes.operator import REGION, ROOT, Shop, edited
from tests.mistakes.shops import Shops
from tests.support.runbooks import run

PAGE = ROOT / "docs" / "how-to" / "move-to-a-new-environment.md"
BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(r"^ *```bash\n(.*?)^ *```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
]
DEPLOY, STOP, COPY, DESTROY, RESIZE = BLOCKS
PROGRAMS = ROOT / ".cache" / "mysql" / "bin"
NEW = "ledger"


def test_another_class_now(shops: Mapping[str, Shop], tally: Tally) -> None:
    shop = shops[STANDARD]
    rds = shop.emulator.client("rds")

    def classes() -> set[str]:
        instances = rds.describe_db_instances(
            Filters=[{"Name": "db-cluster-id", "Values": [shop.stack]}]
        )["DBInstances"]
        return {instance["DBInstanceClass"] for instance in instances}

    document = {**shop.document, "database": {"instance_class": "db.r5.xlarge"}}
    with tally.mistake(shop):
        shop.lead_to(document)
        run(RESIZE, shop.variables(), OLD=shop.suffix, REGION=REGION)
        assert classes() == {"db.r5.xlarge"}
        shop.lead_to(shop.document)
        run(RESIZE, shop.variables(), OLD=shop.suffix, REGION=REGION)
    tally.check_not_stuck(shop)


@pytest.mark.last
def test_another_schema_in_another_network_of_a_global_database(shops: Shops) -> None:
    # The page ends with its destruction.
    old = shops[STANDARD]
    del shops.opened[STANDARD]
    before = old.trades()
    new = Shop(
        old.settings,
        old.folder.parent / NEW,
        NEW,
        {
            "profile": "standard",
            "database": {"name": "ledger", "global_regions": [REGION, "us-west-2"]},
            "regions": {REGION: {"cidr": "10.77.0.0/16"}},
        },
    )
    names = {"OLD": old.suffix, "NEW": NEW, "REGION": REGION}
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    run(DEPLOY, {**new.variables(), "PATH": path}, **names)
    events = in_book(old, "events")
    assert len(events) >= before
    run(STOP + COPY, {**old.variables(), "PATH": path}, **names)
    assert len(in_book(new, "trades")) == before
    assert in_book(new, "events") == events
    run(DESTROY, {**old.variables(), "PATH": path}, **names)
    assert len(in_book(new, "trades")) == before
    # What it has joined, it cannot leave.
    left = new.run("deploy", edited(new.document, "database.global_regions", None))
    assert left.returncode == 1
    assert GLOBAL_WAY in left.stdout


def in_book(shop: Shop, collection: str) -> list[Any]:
    """What the API of an environment lists."""
    url = trade_url(shop.settings, REGION, shop.suffix).removesuffix("trade") + collection
    answer = requests.get(url, timeout=30)
    answer.raise_for_status()
    found: list[Any] = answer.json()[collection]
    return found
