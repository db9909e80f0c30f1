"""A bad release and its rollback, with the service deployer's policies only."""

import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import yaml

from service.tools.migration_verdicts import (
    RECORD,
    Verdict,
    checksum,
    load_verdicts,
    save_verdicts,
)
from shared.contract.loader import load_contract
from shared.naming import service_stack_name
from tests.platform.conftest import REGION, ROOT, Platform


def health(platform: Platform) -> str:
    answer = requests.get(platform.trade_url.removesuffix("trade") + "health", timeout=30)
    status: str = answer.json()["status"]
    return status


def release_other_code(platform: Platform) -> None:
    """Release a build whose health check answers differently."""
    built = platform.code.read_text()
    platform.code.write_text(built.replace('"status": "ok"', '"status": "other"'))
    try:
        subprocess.run(
            [sys.executable, "-m", "service.deploy.commands", "deploy"],
            cwd=ROOT,
            env={**platform.env, "PATH": f"{ROOT}/.venv/bin:{platform.env['PATH']}"},
            check=True,
        )
    finally:
        platform.code.write_text(built)


def listed(platform: Platform) -> list[list[str]]:
    """The columns of `make releases`, the newest release first."""
    printed = platform.make("releases").stdout
    rows = [re.split(" {2,}", line) for line in printed.splitlines() if re.match(r"\d", line)]
    assert rows, printed
    return rows


def live(platform: Platform) -> list[str]:
    """The columns of the live release."""
    (found,) = (columns for columns in listed(platform) if columns[1] == "100 %")
    return found


def set_alarms(platform: Platform, state: str) -> None:
    """Set the state of the alarms that stop a release."""
    client: Any = platform.client("cloudwatch")
    found = client.describe_alarms(AlarmNamePrefix="trading-platform-service")["MetricAlarms"]
    alarms = [alarm["AlarmName"] for alarm in found if "TradeErrors" in alarm["AlarmName"]]
    assert alarms
    for name in alarms:
        client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")


def test_a_rollback_serves_the_previous_code_until_the_next_release(
    platform: Platform, app_team: Platform
) -> None:
    assert health(app_team) == "ok"
    before, _, released, commit, contract, *_ = live(app_team)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", released)
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?|unknown", commit)
    assert contract == str(load_contract().version)

    release_other_code(app_team)
    assert health(app_team) == "other"
    wrong = live(app_team)[0]
    assert wrong == listed(app_team)[0][0]

    # An alarm rings, as usual before a rollback. CodeDeploy would stop a deployment.
    set_alarms(platform, "ALARM")
    app_team.make("rollback-service")
    assert health(app_team) == "ok"
    _, _, _, restored, _, remark = live(app_team)
    assert (restored, remark) == (commit, f"version {before} again")
    assert wrong in [version for version, *_ in listed(app_team)]

    # The live code is the build's again, so a release publishes no version.
    set_alarms(platform, "OK")
    restoring = live(app_team)[0]
    app_team.make("deploy-service")
    assert live(app_team)[0] == restoring
    assert "No changes to deploy" in app_team.make("deploy-service").stdout

    # The release before this one is the rollback, not the other bad release.
    release_other_code(app_team)
    assert health(app_team) == "other"
    app_team.make("rollback-service")
    assert health(app_team) == "ok"

    release_other_code(app_team)
    assert health(app_team) == "other"
    app_team.make("rollback-service", f"TO={before}")
    assert health(app_team) == "ok"


@contextmanager
def built_migration(platform: Platform, text: str) -> Iterator[None]:
    """The build has one more migration."""
    file = platform.code.parents[2] / "MigrationFunction" / "migrations" / "9999_change.sql"
    file.write_text(text)
    try:
        yield
    finally:
        file.unlink()


def refused(platform: Platform) -> str:
    """What is printed when the build is not deployed."""
    deploy = subprocess.run(
        [sys.executable, "-m", "service.deploy.commands", "deploy"],
        cwd=ROOT,
        env={**platform.env, "PATH": f"{ROOT}/.venv/bin:{platform.env['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert deploy.returncode != 0
    return deploy.stdout + deploy.stderr


def test_a_migration_that_no_server_has_judged_is_not_deployed(platform: Platform) -> None:
    before = live(platform)
    with built_migration(platform, "ALTER TABLE trades ADD COLUMN venue VARCHAR(8) NULL"):
        told = refused(platform)
    assert "9999_change: no server has judged this file; run `make check-migration`" in told
    assert live(platform) == before


def test_a_column_that_a_kept_release_names_is_not_dropped(platform: Platform) -> None:
    text = (
        "-- safe because no release reads it\n-- loses the prices\n"
        "ALTER TABLE trades DROP COLUMN price"
    )
    record = RECORD.read_text()
    verdict = Verdict(checksum(text), "INSTANT", "NONE", rebuilds=False)
    before = live(platform)
    try:
        save_verdicts({**load_verdicts(), "9999_change": verdict})
        with built_migration(platform, text):
            told = refused(platform)
    finally:
        RECORD.write_text(record)
    # In the plan.
    assert "loses the prices; safe because no release reads it" in told
    assert "9999_change: takes the column price away" in told
    assert live(platform) == before


def code_of_the_trade_function(platform: Platform) -> dict[str, str]:
    """Where the deployed template has the code of the function that books trades."""
    formation: Any = platform.client("cloudformation")
    stack = service_stack_name(REGION, platform.environment)
    template = formation.get_template(StackName=stack, TemplateStage="Original")["TemplateBody"]
    found: dict[str, str] = yaml.safe_load(template)["Resources"]["TradeFunction"]["Properties"][
        "CodeUri"
    ]
    return found


def other_code(content: bytes) -> bytes:
    """A package of code like this one, whose health check answers differently."""
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for member in before.infolist():
            # A compiled file would win over its source.
            if not member.filename.endswith(".pyc"):
                text = before.read(member)
                after.writestr(member.filename, text.replace(b'"status": "ok"', b'"status": "no"'))
    return changed.getvalue()


def test_replaced_bytes_in_the_bucket_are_not_released(
    platform: Platform, app_team: Platform
) -> None:
    s3: Any = platform.client("s3")
    code = code_of_the_trade_function(platform)
    assert code["Version"] not in ("", "null")
    place = {"Bucket": code["Bucket"], "Key": code["Key"]}
    released = s3.get_object(**place)["Body"].read()
    good = live(app_team)[0]

    # SAM uploads nothing if there is an object of the name, whatever the object holds.
    s3.put_object(**place, Body=other_code(released))
    own = platform.env["SERVICE_PARAMETERS"]
    app_team.make("deploy-service", f"SERVICE_PARAMETERS={own} LogRetentionDays=5")
    assert health(app_team) == "ok"
    assert live(app_team)[0] != good

    # A rollback gets the version of the object that was released, not the newest one.
    s3.put_object(**place, Body=other_code(released))
    app_team.make("rollback-service", f"TO={good}")
    assert health(app_team) == "ok"
    assert code_of_the_trade_function(platform) == code

    # Nor does a template come from the bucket, where somebody could put another one in its place.
    # SAM names a template by its MD5.
    names = [each["Key"] for each in s3.list_objects_v2(Bucket=code["Bucket"])["Contents"]]
    assert not [name for name in names if name.endswith(".template")]

    # A kept package that names other code is not released.
    other = s3.put_object(**place, Body=other_code(released))["VersionId"]
    stack = service_stack_name(REGION, platform.environment)
    package = {"Bucket": code["Bucket"], "Key": f"{stack}/releases/{good}.json"}
    kept = s3.get_object(**package)["Body"].read()
    s3.put_object(**package, Body=kept.replace(code["Version"].encode(), other.encode()))
    release_other_code(app_team)
    refused = app_team.make("rollback-service", f"TO={good}", check=False)
    assert refused.returncode != 0
    assert f"the package of version {good} is not what was released" in refused.stdout
    assert health(app_team) == "other"
    s3.put_object(**package, Body=kept)
    app_team.make("rollback-service", f"TO={good}")
    assert health(app_team) == "ok"


def test_a_release_that_cannot_be_restored_is_one_clear_line(platform: Platform) -> None:
    refused = platform.make("rollback-service", "TO=999", check=False)
    assert refused.returncode != 0
    assert "TO '999': there is no such version; `make releases` lists them" in refused.stdout
