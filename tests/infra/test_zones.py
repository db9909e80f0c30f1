"""Zones are checked by their ids, in the account, before a plan or an apply."""

from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber

from infra.commands import deploy, plan, zones
from infra.config.environment import EnvironmentConfig, load_environment
from shared.cli.errors import UserError
from shared.regions import REGIONS
from tests.support.emulator import Emulator
from tests.support.small_stack import Document


def environment(folder: Path, letters: str, regions: str = "us-east-1") -> EnvironmentConfig:
    """An environment with those zones."""
    file = folder / "qa.toml"
    file.write_text(f"[network]\nzones = {list(letters)}\n")
    return load_environment({"ENVIRONMENT_FILE": str(file), "REGIONS": regions})


@pytest.mark.parametrize("region", REGIONS)
def test_the_emulator_has_the_zones_of_the_table(aws: Emulator, region: str) -> None:
    found = aws.client("ec2", region).describe_availability_zones()["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in found] == [f"{region}{z}" for z in REGIONS[region].zones]
    assert len({zone["ZoneId"] for zone in found}) == len(found)


def test_zones_with_all_services_are_accepted(aws: Emulator, tmp_path: Path) -> None:
    zones.check_zones(environment(tmp_path, "abcdf"))
    zones.check_zones(environment(tmp_path, "abc", ",".join(REGIONS)))


def test_a_zone_that_lacks_services_is_refused_by_its_id(aws: Emulator, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        zones.check_zones(environment(tmp_path, "ae"))
    assert str(refused.value) == (
        "network.zones ['a', 'e']: us-east-1e is use1-az3 in this account, which lacks RDS Proxy, "
        "Lambda and NAT gateways; choose from a, b, c, d, f"
    )


@pytest.mark.parametrize("command", [lambda: plan.main([]), deploy.main])
def test_it_is_refused_before_terraform_starts(
    stack: Document,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Callable[[], None],
) -> None:
    monkeypatch.setenv("ENVIRONMENT_FILE", str(environment(tmp_path, "ae").file))
    with pytest.raises(UserError, match="us-east-1e is use1-az3"):
        command()
    printed = capsys.readouterr().out
    assert "profile standard, from" in printed
    assert "terraform " not in printed
    monkeypatch.delenv("ENVIRONMENT_FILE")


def test_a_zone_that_is_closed_to_the_account_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client(
        "ec2", region_name="us-east-1", aws_access_key_id="-", aws_secret_access_key="-"
    )
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    answer = [
        {"ZoneName": "us-east-1a", "ZoneId": "use1-az1", "State": "available"},
        {"ZoneName": "us-east-1b", "ZoneId": "use1-az2", "State": "constrained"},
    ]
    for letters in ("ab", "ac"):
        with Stubber(client) as stub:
            stub.add_response("describe_availability_zones", {"AvailabilityZones": answer})
            with pytest.raises(UserError, match=f"us-east-1{letters[1]} is not available to this"):
                zones.check_zones(environment(tmp_path, letters))
