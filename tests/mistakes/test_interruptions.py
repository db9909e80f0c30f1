"""Deploys that are stopped halfway or run twice: the next one completes, and no trade is lost."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.mistakes.campaign import Tally
from tests.mistakes.mistakes import DEV, OPEN, STANDARD
from tests.mistakes.operator import Document, Shop, edited

POINTS = 10
# What a run may end with that was stopped: Terraform ends in order, or the command itself.
_STOPPED = r"error: terraform \w+ failed|error: .*interrupted|^interrupted|Apply complete"


def grown(document: Document, number: int) -> Document:
    """The file with changes that lose and interrupt nothing, other ones for each number."""
    for key, value in (
        ("storage.expiration_days", 100 + number),
        ("storage.noncurrent_days", 100 + number),
        ("observability.alarm_email", f"ops{number}@example.com"),
        ("database.maintenance_window", f"sat:0{number % 5}:00-sat:0{number % 5}:30"),
    ):
        document = edited(document, key, value)
    return document


def seconds_of_a_deploy(shop: Shop) -> float:
    """How long a deploy with such changes takes when nobody stops it."""
    started = time.monotonic()
    done = shop.run("deploy", grown(shop.document, POINTS))
    assert done.returncode == 0, done.stdout
    return time.monotonic() - started


def stopped_after(process: subprocess.Popen[str], seconds: float, number: signal.Signals) -> str:
    """What a command has printed that was stopped at that time, as a terminal's Ctrl-C does it."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, number)
    said, _ = process.communicate(timeout=300)
    return said


def stop_at_ten_points(shop: Shop, number: signal.Signals, tally: Tally) -> None:
    """Stop ten deploys, each at another point; the next one completes each."""
    whole = seconds_of_a_deploy(shop)
    for point in range(POINTS):
        target = grown(shop.document, POINTS + 1 + point)
        with tally.mistake(shop):
            process = shop.start("deploy", target)
            said = stopped_after(process, (point + 0.5) * whole / POINTS, number)
        assert "Traceback" not in said, said
        if number is signal.SIGINT and process.returncode:
            assert re.search(_STOPPED, said, re.MULTILINE), said
    # The file as it was before: what was half applied is taken back.
    shop.lead_to(shop.document)
    tally.check_not_stuck(shop)


def test_a_deploy_can_be_stopped_at_ten_points(shops: Mapping[str, Shop], tally: Tally) -> None:
    """By Ctrl-C in one environment, and killed in another one."""
    with ThreadPoolExecutor(2) as pool:
        for future in [
            pool.submit(stop_at_ten_points, shops[name], number, tally)
            for name, number in ((DEV, signal.SIGINT), (OPEN, signal.SIGKILL))
        ]:
            future.result()


def test_a_destroy_that_is_stopped_has_asked_for_an_explicit_word_before(
    shops: Mapping[str, Shop], tally: Tally
) -> None:
    """Ctrl-C at the question of a destroy, and after its checks have begun."""
    shop = shops[STANDARD]
    with tally.mistake(shop):
        process = shop.start("destroy")
        said = stopped_after(process, 1.5, signal.SIGINT)
    # On a busy machine it is still loading then, and Python itself ends it.
    assert process.returncode in (1, 130, -signal.SIGINT), said
    assert "Traceback" not in said, said
    tally.check_not_stuck(shop)


def test_two_people_deploy_at_once(shops: Mapping[str, Shop], tally: Tally) -> None:
    shop = shops[DEV]
    targets = [edited(shop.document, "storage.expiration_days", days) for days in (95, 96)]
    folders = [str(shop.folder / f"person-{number}") for number in range(2)]
    with tally.mistake(shop):
        people = [
            shop.start("deploy", target, CDKTF_OUTDIR=folder)
            for target, folder in zip(targets, folders, strict=True)
            if not time.sleep(1)
        ]
        said = [process.communicate(timeout=600)[0] for process in people]
    assert any(process.returncode == 0 for process in people), said
    for process, output in zip(people, said, strict=True):
        assert "Traceback" not in output
        if process.returncode:
            last = output.splitlines()[-1]
            assert re.match("error: (another run holds the state|the saved plan of)", last), output
    shop.lead_to(shop.document)
    tally.check_not_stuck(shop)


def test_two_people_apply_the_plans_that_they_reviewed(
    shops: Mapping[str, Shop], tally: Tally
) -> None:
    shop = shops[DEV]
    plans = [str(shop.folder / f"plans-{number}") for number in range(2)]
    for days, folder in zip((97, 98), plans, strict=True):
        planned = shop.run(
            "plan", edited(shop.document, "storage.expiration_days", days), OUT=folder
        )
        assert planned.returncode == 0, planned.stdout
    first = shop.run("deploy", PLAN=plans[0])
    assert first.returncode == 0, first.stdout
    with tally.mistake(shop):
        second = shop.run("deploy", PLAN=plans[1])
    assert second.returncode == 1
    assert "is out of date" in second.stdout.splitlines()[-1]
    shop.lead_to(shop.document)
    tally.check_not_stuck(shop)


def test_a_deploy_and_a_destroy_at_once(shops: Mapping[str, Shop], tally: Tally) -> None:
    """The service protects its platform from the second person, who destroys."""
    shop = shops[STANDARD]
    longer = edited(shop.document, "observability.log_retention_days", 60)
    with tally.mistake(shop):
        deploy = shop.start("deploy", longer)
        destroyed = shop.run("destroy", CDKTF_OUTDIR=str(shop.folder / "other"))
        said, _ = deploy.communicate(timeout=600)
    assert deploy.returncode == 0, said
    assert "uses this data platform" in destroyed.stdout
    shop.lead_to(shop.document)
    tally.check_not_stuck(shop)
