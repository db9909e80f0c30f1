"""What `make drift` says of the service's stack; tests/platform runs it as a whole."""

import pytest

from service.deploy.deployed import DeployedStack
from service.deploy.drift import stack_findings

REGION = "us-west-2"


@pytest.mark.parametrize(
    ("status", "finding"),
    [
        ("UPDATE_COMPLETE", []),
        ("UPDATE_ROLLBACK_COMPLETE", []),
        # A release is under way.
        ("UPDATE_IN_PROGRESS", []),
        (
            "ROLLBACK_FAILED",
            [
                "service must be repaired: trades is ROLLBACK_FAILED, which can take no release: "
                "run `make destroy-service REGIONS=us-west-2`, which keeps the trades, and release "
                "again"
            ],
        ),
    ],
)
def test_a_stack_that_takes_no_release_must_be_mended(status: str, finding: list[str]) -> None:
    assert list(stack_findings(DeployedStack("trades", status, {}, {}), REGION)) == finding
