"""The stacks, applied to the emulator and destroyed again with the real Terraform.

Terraform waits most of the time, so the environments run in parallel.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from certify.calls import is_read, refused
from certify.recording import Call, recorded
from infra.gate.calls import CALLS, Action
from local.emulator.installation import Installation
from local.platform import aws_variables
from tests.support.emulator import Emulator
from tests.support.ports import free_port_base
from tests.support.synthesized import EVERYTHING, REGIONS

ROOT = Path(__file__).resolve().parents[2]
GUARDED = EVERYTHING.read_text()
_READS = re.compile("Describe|Get|Head|List")
NO_CHANGES = "No changes. Your infrastructure matches the configuration."


@dataclass
class Life:
    """One environment: what was done to it, and what Terraform said."""

    folder: Path
    variables: Mapping[str, str]
    steps: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)

    def run(self, step: str, command: str, *arguments: str, settings: str, **more: str) -> bool:
        """Run one command with `settings` as the environment's file; whether it succeeded.

        `arguments` go to Terraform, `more` are environment variables.
        """
        file = self.folder / f"{step}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(settings)
        self.steps[step] = subprocess.run(
            [
                sys.executable,
                "-m",
                f"infra.commands.{command}",
                *(["--", "-no-color", *arguments] if arguments else []),
            ],
            cwd=ROOT,
            env={
                **self.variables,
                "ENVIRONMENT_FILE": str(file),
                "STATE_DIR": str(self.folder / "state"),
                "CDKTF_OUTDIR": str(self.folder / "out"),
                **more,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return self.steps[step].returncode == 0

    def output(self, step: str, *, succeeds: bool = True) -> str:
        """Terraform's output in a step, which must have succeeded or failed as given."""
        assert step in self.steps, f"not reached; last: {list(self.steps.values())[-1].stdout}"
        finished = self.steps[step]
        assert (finished.returncode == 0) == succeeds, finished.stdout
        return finished.stdout

    def changes(self, step: str) -> dict[str, str]:
        """What a plan with `-json` would do, by address."""
        found = {}
        for line in self.output(step).splitlines():
            if line.startswith("{"):
                message = json.loads(line)
                if message["type"] == "planned_change":
                    found[message["change"]["resource"]["addr"]] = message["change"]["action"]
        return found


def plain_life(life: Life, settings: str, growth: str = "") -> None:
    """Apply, plan again, plan to grow, destroy."""
    if life.run("apply", "deploy", settings=settings):
        life.run("second plan", "plan", settings=settings)
        if growth:
            life.run("growth", "plan", "-json", "-refresh=false", settings=growth)
        life.run("destroy", "destroy", settings=settings)


def guarded_life(life: Life) -> None:
    """Apply, plan again, try to destroy, lift the protection by a reviewed plan, destroy."""
    if life.run("apply", "deploy", settings=GUARDED):
        life.run("second plan", "plan", settings=GUARDED)
        life.run("refused", "plan", "-destroy", "-refresh=false", settings=GUARDED)
        lifted = f"{GUARDED}\n[protection]\nprevent_destroy = false\n"
        life.run("not yet lifted", "destroy", settings=lifted)
        life.run("not reviewed", "deploy", settings=lifted)
        plans = str(life.folder / "plans")
        life.run("review", "plan", settings=lifted, OUT=plans)
        life.run("lift", "deploy", settings=lifted, PLAN=plans)
        life.run("stale", "deploy", settings=lifted, PLAN=plans)
        life.run("destroy", "destroy", settings=lifted)


GROWTH = '[network]\nzones = ["a", "b", "c"]\nnat = "per-az"\n[database]\nreaders = 3\n'
# By region. All have one suffix, so that regions that share a name of the account collide.
LIVES: Mapping[str, Callable[[Life], None]] = {
    "us-east-1": lambda life: plain_life(life, "", GROWTH),
    "us-east-2": lambda life: plain_life(life, 'profile = "dev"'),
    "us-west-2": guarded_life,
}


# What is left has one key in each region. `dev` leaves nothing in its own.
BACKUPS = {
    "us-east-1": "Data at rest of the trading platform in us-east-1",
    "us-east-2": "Backups of the trading platform in us-west-2",
    "us-west-2": "Data at rest of the trading platform in us-west-2",
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = Emulator(tmp_path_factory.mktemp("applied") / "local", free_port_base())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_RECORD_CALLS", "1")
        emulator.start()
    yield emulator
    emulator.stop()
    for pid in emulator.database_pids():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def lives(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Life]:
    """All environments, from apply to destroy."""
    folder = tmp_path_factory.mktemp("lives")
    settings = Installation(emulator.folder, emulator.port)
    started = {}
    for region in LIVES:
        variables = {**os.environ, "REGIONS": region, "ENVIRONMENT_SUFFIX": "std"}
        own = Installation(emulator.folder, emulator.port).identity
        environment = {**aws_variables(settings, variables), "AWS_SDK_UA_APP_ID": own}
        started[region] = Life(folder / region, environment)
    with ThreadPoolExecutor(len(LIVES)) as pool:
        for future in [pool.submit(LIVES[region], life) for region, life in started.items()]:
            future.result()
    return started


@pytest.mark.parametrize("region", REGIONS)
def test_a_second_plan_after_the_apply_is_empty(lives: dict[str, Life], region: str) -> None:
    assert "Apply complete!" in lives[region].output("apply")
    assert NO_CHANGES in lives[region].output("second plan")


@pytest.mark.parametrize("region", REGIONS)
def test_what_may_be_destroyed_is_destroyed_in_one_go(lives: dict[str, Life], region: str) -> None:
    assert "Destroy complete!" in lives[region].output("destroy")


def test_a_zone_a_reader_and_nat_gateways_are_added_beside_what_exists(
    lives: dict[str, Life],
) -> None:
    changes = lives["us-east-1"].changes("growth")
    added = {address for address, action in changes.items() if action == "create"}
    assert {address.split(".")[0] for address in added} == {
        "aws_cloudwatch_metric_alarm",
        "aws_eip",
        "aws_nat_gateway",
        "aws_rds_cluster_instance",
        "aws_route",
        "aws_route_table",
        "aws_route_table_association",
        "aws_subnet",
    }
    assert len([address for address in added if "instance-4" in address]) == 1
    # In place: lists of subnets and of alarms, and the route to the zone's own NAT gateway.
    others = {address: action for address, action in changes.items() if address not in added}
    assert set(others.values()) == {"update"}
    assert {address.rpartition("_")[0] for address in others} == {
        "aws_cloudwatch_dashboard.observability_dashboard",
        "aws_db_subnet_group.database_subnet-group",
        "aws_route.network_private-default-route-us-east-1b",
        "aws_ssm_parameter.publication_PrivateSubnetIds",
        "aws_ssm_parameter.publication_PublicSubnetIds",
        "aws_vpc_endpoint.endpoints_s3",
    }


def test_what_is_protected_stays_until_that_is_lifted_by_a_reviewed_plan(
    lives: dict[str, Life],
) -> None:
    guarded = lives["us-west-2"]
    refusal = guarded.output("refused", succeeds=False)
    assert re.search(r"error: \S+: cannot work: \S+: the plan would destroy it", refusal)
    deployed = guarded.output("not yet lifted", succeeds=False)
    assert "is deployed with deletion protection; nothing was destroyed" in deployed
    assert "its protection ends" in guarded.output("not reviewed", succeeds=False)
    assert "only a reviewed plan may lose or interrupt" in guarded.output(
        "not reviewed", succeeds=False
    )
    lifted = guarded.output("lift")
    assert "0 added" in lifted
    assert "0 destroyed" in lifted
    stale = guarded.output("stale", succeeds=False).splitlines()[-1]
    assert stale.startswith("error: the saved plan of trading-platform-uswest2-std is out of")


def test_every_call_of_the_environments_is_judged_and_none_is_refused(
    lives: dict[str, Life], emulator: Emulator
) -> None:
    assert all("destroy" in life.steps for life in lives.values())
    calls = [
        call
        for call in recorded(emulator.folder / "calls.jsonl")
        if isinstance(call, Call) and call.succeeded
    ]
    assert {call.tool for call in calls} >= {"Terraform", "boto3"}
    assert {call.name for call in calls if not is_read(call)} == set()
    assert {reason for call in calls for reason in refused(call)} == set()
    # What Terraform changes is in the table that plans are judged by.
    known = {
        action.name if isinstance(action, Action) else action
        for found in CALLS.values()
        for actions in (found.add, found.change, found.destroy)
        for action in actions
    }
    changes = {
        check.action
        for call in calls
        if call.tool == "Terraform" and not _READS.match(call.operation)
        for check in call.checks
    }
    assert changes - known == set()


def test_nothing_is_left_but_the_final_snapshot(lives: dict[str, Life], emulator: Emulator) -> None:
    assert all("destroy" in life.steps for life in lives.values())
    for region in REGIONS:

        def client(service: str, region: str = region) -> Any:
            return boto3.client(
                service,  # type: ignore[call-overload]
                region_name=region,
                endpoint_url=emulator.url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )

        assert client("rds").describe_db_clusters()["DBClusters"] == []
        assert client("rds").describe_db_proxies()["DBProxies"] == []
        assert client("logs").describe_log_groups()["logGroups"] == []
        assert client("sns").list_topics()["Topics"] == []
        assert client("cloudwatch").describe_alarms()["MetricAlarms"] == []
        assert client("cloudwatch").list_dashboards()["DashboardEntries"] == []
        assert client("ssm").describe_parameters()["Parameters"] == []
        assert client("backup").list_backup_vaults()["BackupVaultList"] == []
        assert client("kms").list_aliases()["Aliases"] == []
        assert client("s3").list_buckets()["Buckets"] == []
        assert client("iam").list_roles()["Roles"] == []
        assert all(vpc["IsDefault"] for vpc in client("ec2").describe_vpcs()["Vpcs"])
        enabled = [
            key["Description"]
            for each in client("kms").list_keys()["Keys"]
            for key in [client("kms").describe_key(KeyId=each["KeyId"])["KeyMetadata"]]
            if key["KeyState"] == "Enabled"
        ]
        # Backups need their keys, so the keys stay with the backups.
        assert enabled == [f"{BACKUPS[region]}, std"]
    assert emulator.database_pids() == []
