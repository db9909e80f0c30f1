"""Releases on the whole platform: what reaches callers, what does not, and who is a caller."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from shared.contract.loader import CHECKSUM_TAG, load_contract
from tests.platform.conftest import REGION, ROOT, Platform, as_user
from trading_client import ApiError, Client, HttpTransport, Signer

ORDER = {"symbol": "AAPL", "quantity": 100}


def signed_post(url: str, document: dict[str, Any]) -> requests.Response:
    """Send a document, signed by a principal of the account."""
    request = AWSRequest("POST", url, {"Content-Type": "application/json"}, json.dumps(document))
    SigV4Auth(Credentials("test", "test"), "execute-api", REGION).add_auth(request)
    return requests.post(url, data=request.data, headers=dict(request.headers), timeout=30)


def check_signed_reads(platform: Platform, trade_id: str) -> None:
    """Read a trade as an IAM user, whose signatures the emulator verifies."""
    policy = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
    env = as_user(platform, "reader", documents=[document]).env
    key, secret = env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]
    url = platform.trade_url.removesuffix("/trade")

    # As the page says it, for the version of curl on this machine.
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    (signed,) = re.findall(r"^```bash\n(credentials\(\) .*?)^```$", page, re.MULTILINE | re.DOTALL)
    # The user of this test has no token.
    without_token = re.sub(r"^.*AWS_SESSION_TOKEN.*\n", "", signed, flags=re.MULTILINE)
    curl = subprocess.run(
        ["bash", "-c", without_token],
        env={**env, "API": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert curl.returncode == 0, curl.stdout
    assert json.loads(curl.stdout)["trades"][0]["trade_id"] == trade_id

    def client(secret: str) -> Client:
        signer = Signer(url, Credentials(key, secret), REGION)
        return Client(url, transport=HttpTransport(url, signer=signer))

    listed = client(secret).iter_trades(symbol="AAPL", from_="2026-01-31T09:30:00+01:00")
    assert next(listed)["trade_id"] == trade_id
    with pytest.raises(ApiError) as refused:
        client("wrong").list_trades()
    assert refused.value.status == 403


@pytest.fixture
def moved_database(platform: Platform) -> Iterator[str]:
    """Another name for the database's server, published like the data platform's."""
    contract = load_contract()
    endpoint = contract["DatabaseWriterEndpoint"]
    name = contract.path(endpoint, platform.environment)
    ssm: Any = platform.client("ssm")

    def publish(value: str) -> None:
        ssm.put_parameter(
            Name=name,
            Value=value,
            Type=endpoint.ssm_type,
            Description=endpoint.description,
            Overwrite=True,
        )
        tag = {"Key": CHECKSUM_TAG, "Value": sha256(value.encode()).hexdigest()}
        ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=[tag])

    published = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    publish("localhost")
    yield "localhost"
    publish(published)
    platform.make("deploy-service")


@pytest.fixture
def opened_database(platform: Platform) -> Iterator[str]:
    """Add a foreign rule to the database's security group; returns the group's name."""
    ec2: Any = platform.client("ec2")
    name = f"trading-platform-database-useast1-{platform.environment}"
    (group,) = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [name]}])[
        "SecurityGroups"
    ]
    everybody = {
        "GroupId": group["GroupId"],
        "IpPermissions": [
            {
                "IpProtocol": "tcp",
                "FromPort": 3306,
                "ToPort": 3306,
                "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            }
        ],
    }
    ec2.authorize_security_group_ingress(**everybody)
    yield name
    ec2.revoke_security_group_ingress(**everybody)


def test_a_changed_value_alone_is_released_and_signatures_can_be_required(
    platform: Platform, opened_database: str, moved_database: str
) -> None:
    url = platform.trade_url
    published = requests.post(url, json=ORDER, timeout=30).json()["db_endpoint"]
    assert published != moved_database
    drift = platform.make("drift", check=False)
    assert drift.returncode != 0
    infra = f"trading-platform-useast1-{platform.environment}: infra must"
    service = f"trading-platform-service-useast1-{platform.environment}:"
    assert f"{infra} be applied: aws_ssm_parameter.publication_DatabaseWriterEndpoint" in (
        drift.stdout
    )
    assert f"from the security group {opened_database}: traffic from 0.0.0.0/0" in drift.stdout
    assert (
        f"{service} service must be redeployed: database/writer-endpoint changed "
        f"({published} -> {moved_database})"
    ) in drift.stdout

    platform.make("deploy-service", "SERVICE_PARAMETERS=ApiAuthorization=AWS_IAM")

    # Without the parameter, the next release would not ask callers to sign.
    sources = platform.make("drift", check=False).stdout
    assert (
        f"{service} service must be redeployed: parameter ApiAuthorization is 'AWS_IAM'" in sources
    )
    drift = platform.make("drift", "SERVICE_PARAMETERS=ApiAuthorization=AWS_IAM", check=False)
    assert f"{service} no drift" in drift.stdout
    assert platform.trade_url == url
    unsigned = requests.post(url, json=ORDER, timeout=30)
    assert unsigned.status_code == 403
    assert unsigned.headers["Content-Type"] == "application/problem+json"
    assert unsigned.headers["Cache-Control"] == "no-store"
    booked = signed_post(url, ORDER)
    assert booked.status_code == 200, booked.text
    assert booked.json()["db_endpoint"] == moved_database
    check_signed_reads(platform, booked.json()["trade_id"])
    refused = signed_post(url, {"symbol": "AAPL"})
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_TRADE")


def test_a_version_that_fails_its_check_reaches_nobody(platform: Platform) -> None:
    before = requests.post(platform.trade_url, json=ORDER, timeout=30)
    assert before.status_code == 200
    built = platform.code.read_text()
    platform.code.write_text(f"{built}\nraise ImportError('broken')\n")
    try:
        deploy = subprocess.run(
            [sys.executable, "-m", "service.deploy.commands", "deploy"],
            cwd=ROOT,
            env={**platform.env, "PATH": f"{ROOT}/.venv/bin:{platform.env['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        platform.code.write_text(built)
    assert deploy.returncode == 1
    assert "UPDATE_ROLLBACK_COMPLETE" in deploy.stdout + deploy.stderr
    after = requests.post(platform.trade_url, json=ORDER, timeout=30)
    assert after.status_code == 200, after.text
    assert "No changes to deploy" in platform.make("deploy-service").stdout


def test_the_archive_writes_a_day_on_request(platform: Platform) -> None:
    event = "EVENT=service/events/archive/day.json"
    printed = platform.make("invoke", "FUNCTION=ArchiveFunction", event).stdout
    assert '{"2026-01-31": 0}' in printed
    contract = load_contract()
    ssm: Any = platform.client("ssm")
    s3: Any = platform.client("s3")
    name = contract.path(contract["DataBucketName"], platform.environment)
    bucket = ssm.get_parameter(Name=name)["Parameter"]["Value"]
    file = s3.get_object(Bucket=bucket, Key="trades/dt=2026-01-31/trades.ndjson.gz")
    assert file["ServerSideEncryption"] == "aws:kms"
    assert gzip.decompress(file["Body"].read()) == b""


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        ("ready", "ready"),
        ("post_trade_validate_only", "VALID"),
        ("post_trade", "TRADE-"),
    ],
)
def test_ready_events_are_answered(platform: Platform, event: str, answer: str) -> None:
    printed = platform.make("invoke", f"EVENT=service/events/{event}.json").stdout
    assert '"statusCode": 200' in printed
    assert answer in printed
