"""Terraform's state: lost, emptied, corrupted, another one; the runbook leads out of each."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.mistakes.campaign import Tally
from tests.mistakes.mistakes import OPEN, STANDARD
from tests.mistakes.operator import REGION, Shop
from tests.support.runbooks import commands, run

ACCOUNT = "000000000000"
OTHER = "1" * 12
BUCKET = f"trading-platform-state-{ACCOUNT}-useast1"
TABLE = "trading-platform-state-locks-useast1"
NAMES, UNLOCK, VERSIONS, DELETE_DIGEST, RESTORE = commands("stuck-lock")


def ends_with(shop: Shop, pattern: str, **variables: str) -> None:
    """A deploy is refused by a line that names the runbook, or says what to do."""
    finished = shop.run("deploy", **variables)
    assert finished.returncode == 1, finished.stdout
    assert "Traceback" not in finished.stdout, finished.stdout
    assert re.match(pattern, finished.stdout.splitlines()[-1]), finished.stdout


class Remote:
    """The state of an environment in the state bucket."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.key = f"{shop.stack}/terraform.tfstate"
        self.s3 = shop.emulator.client("s3")
        self.dynamodb = shop.emulator.client("dynamodb")

    def read(self) -> bytes:
        """The state."""
        content: bytes = self.s3.get_object(Bucket=BUCKET, Key=self.key)["Body"].read()
        return content

    def write(self, content: bytes, *, digest: bool) -> None:
        """Write another state, with or without what tells Terraform that it is the newest."""
        self.s3.put_object(Bucket=BUCKET, Key=self.key, Body=content)
        if digest:
            checksum = hashlib.md5(content, usedforsecurity=False).hexdigest()
            self.dynamodb.put_item(
                TableName=TABLE,
                Item={"LockID": {"S": f"{BUCKET}/{self.key}-md5"}, "Digest": {"S": checksum}},
            )

    def bring_back(self) -> None:
        """Follow the runbook: the newest version that is not nearly empty, and no old digest."""
        where = {"REGION": REGION, "STACK": self.shop.stack}
        variables = self.shop.variables()
        listed = run(NAMES + VERSIONS, variables, **where)
        versions = [line.split() for line in listed.splitlines() if line.startswith("version")]
        largest = max(int(size) for _, _, size, _ in versions)
        version = next(id_ for _, _, size, id_ in versions if int(size) > largest / 2)
        run(NAMES + RESTORE, variables, **where, VERSION=version)
        run(NAMES + DELETE_DIGEST, variables, **where)


@pytest.fixture(scope="module")
def remote(shops: Mapping[str, Shop]) -> Remote:
    """An environment with its state moved to the state bucket."""
    shop = shops[OPEN]
    local = shop.more
    for command in ("bootstrap", "migrate"):
        moved = shop.run("remote_state", None, command)
        assert moved.returncode == 0, moved.stdout
    shop.more = {**local, "STATE": "s3"}
    return Remote(shop)


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("lost", "error: the state of trading-platform-useast1-open is not the one .*stuck-lock"),
        ("lost with its digest", "error: the state of .* is empty, but .*stuck-lock.md"),
        ("emptied", "error: the state of .* is empty, but .*stuck-lock.md"),
        ("emptied beside its digest", "error: the state of .* is not the one .*stuck-lock.md"),
        ("corrupted", "error: the state of .* cannot be read.*stuck-lock.md"),
        ("corrupted beside its digest", "error: the state of .* is not the one .*stuck-lock.md"),
        ("an older one beside its digest", "error: the state of .* is not the one .*stuck-lock"),
    ],
)
def test_a_state_that_is_not_right_is_recognised_and_the_runbook_leads_out(
    remote: Remote, tally: Tally, what: str, pattern: str
) -> None:
    shop, content = remote.shop, remote.read()
    document: dict[str, Any] = json.loads(content)
    # As an apply leaves it. The runbook may have deleted the digest.
    remote.write(content, digest=True)
    with tally.mistake(shop):
        if what.startswith("lost"):
            remote.s3.delete_object(Bucket=BUCKET, Key=remote.key)
            if "digest" in what:
                run(NAMES + DELETE_DIGEST, shop.variables(), REGION=REGION, STACK=shop.stack)
        else:
            made = {
                "emptied": json.dumps({**document, "resources": [], "outputs": {}}).encode(),
                "corrupted": content[: len(content) // 3],
                "an": json.dumps({**document, "serial": document["serial"] - 1}).encode(),
            }[what.split(maxsplit=1)[0]]
            remote.write(made, digest="beside" not in what)
        ends_with(shop, pattern)
        remote.bring_back()
    tally.check_not_stuck(shop)


def test_a_state_of_another_backend(remote: Remote, tally: Tally) -> None:
    for variables in ({"STATE": "local"}, {"STATE": "local", "STATE_DIR": "/tmp"}):
        with tally.mistake(remote.shop):
            ends_with(
                remote.shop, "error: the state of .* is empty, but .*STATE wrong", **variables
            )
    with tally.mistake(remote.shop):
        again = remote.shop.run("remote_state", None, "migrate")
    assert "there is no such local state to move" in again.stdout.splitlines()[-1]
    tally.check_not_stuck(remote.shop)


def test_a_state_of_another_account(shops: Mapping[str, Shop], tally: Tally) -> None:
    """An access key of twelve digits is an account of its own to the emulator."""
    shop = shops[STANDARD]
    with tally.mistake(shop):
        ends_with(
            shop,
            "error: the .*the account 0{12}|error: the .*of another account",
            AWS_ACCESS_KEY_ID="1" * 12,
        )
    tally.check_not_stuck(shop)


def test_a_forgotten_workspace_is_recognised(shops: Mapping[str, Shop], tally: Tally) -> None:
    """It has no state. `make` leaves this variable of another project out."""
    with tally.mistake(shops[STANDARD]):
        ends_with(
            shops[STANDARD],
            "error: the state of .* is empty, but .*stuck-lock.md",
            TF_WORKSPACE="blue",
        )
    tally.check_not_stuck(shops[STANDARD])


@pytest.mark.parametrize("what", ["lost", "emptied", "corrupted"])
def test_a_local_state_that_is_not_right(
    shops: Mapping[str, Shop], tally: Tally, what: str
) -> None:
    shop = shops[STANDARD]
    file = Path(shop.variables()["STATE_DIR"]) / f"{shop.stack}.tfstate"
    kept = file.read_bytes()
    with tally.mistake(shop):
        if what == "lost":
            file.unlink()
        elif what == "emptied":
            file.write_bytes(b"")
        else:
            file.write_bytes(kept[:1000])
        ends_with(shop, "error: the state of .*stuck-lock.md")
        file.write_bytes(kept)
    tally.check_not_stuck(shop)


def test_a_renamed_environment_is_a_new_one_beside_the_old(
    shops: Mapping[str, Shop], tally: Tally
) -> None:
    shop = shops[STANDARD]
    with tally.mistake(shop):
        planned = shop.run("plan", ENVIRONMENT_SUFFIX="tset")
    assert planned.returncode == 0, planned.stdout
    assert re.search(
        r"note: tset is new in us-east-1; deployed there are .*\btest\b", planned.stdout
    )


def test_a_region_that_is_taken_out_stays_deployed_and_is_mentioned(
    shops: Mapping[str, Shop], tally: Tally
) -> None:
    shop = shops[STANDARD]
    with tally.mistake(shop):
        planned = shop.run("plan", REGIONS="us-east-2")
    assert planned.returncode == 0, planned.stdout
    assert "note: test is deployed in us-east-1 as well; REGIONS lacks it" in planned.stdout
