"""docs/how-to/move-to-a-new-environment.md, run command by command."""

from __future__ import annotations

import os
import re
import shutil
import textwrap
from collections.abc import Mapping

import pytest
import requests

from local.platform import trade_url
from tests.mistakes.campaign import Tally
from tests.mistakes.mistakes import STANDARD
from tests.mistakes.operator import REGION, ROOT, Shop
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
        shop.reviewed(document)
        run(RESIZE, shop.variables(), OLD=shop.suffix, REGION=REGION)
        assert classes() == {"db.r5.xlarge"}
        shop.reviewed()
        run(RESIZE, shop.variables(), OLD=shop.suffix, REGION=REGION)
    tally.check_not_stuck(shop)


@pytest.mark.last
def test_another_schema_in_another_network(shops: Mapping[str, Shop], tally: Tally) -> None:
    if not shutil.which("mysqldump", path=f"{PROGRAMS}:{os.environ['PATH']}"):
        pytest.skip("there is no mysqldump")
    old = shops[STANDARD]
    before = old.trades()
    new = Shop(
        old.settings,
        old.folder.parent / NEW,
        NEW,
        {
            "profile": "dev",
            "database": {"name": "ledger"},
            "regions": {REGION: {"cidr": "10.77.0.0/16"}},
        },
    )
    names = {"OLD": old.suffix, "NEW": NEW, "REGION": REGION}
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    for shop, commands in ((new, DEPLOY), (old, STOP), (old, COPY)):
        run(commands, {**shop.variables(), "PATH": path}, **names)
    answer = requests.get(trade_url(new.settings, REGION, NEW) + "s", timeout=30)
    assert len(answer.json()["trades"]) == before
    run(DESTROY, {**old.variables(), "PATH": path}, **names)
    assert new.sql("SELECT COUNT(*) FROM ledger.trades") == ((before,),)
