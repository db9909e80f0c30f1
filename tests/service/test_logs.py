"""Which lines `make logs` requests. tests/platform/test_logs.py reads real ones."""

import pytest

from service.deploy.logs import sam_arguments
from shared.cli.errors import UserError


def test_without_a_word_it_is_what_the_trade_function_said_in_the_last_ten_minutes() -> None:
    assert sam_arguments({}) == [
        "logs",
        "--stack-name=trading-platform-service-useast1-dev",
        "--region=us-east-1",
        "--name=TradeFunction",
        "--start-time=10 minutes ago",
    ]


def test_one_request_in_the_access_log_of_a_preview_is_followed() -> None:
    found = sam_arguments(
        {
            "ENVIRONMENT_SUFFIX": "qa",
            "REGIONS": "us-west-2",
            "SERVICE_STAGE": "pr-42",
            "FUNCTION": "api",
            "SINCE": "2h",
            "REQUEST_ID": "4008b8c6-4a6d-430d-b706-ccbd83963398",
            "FOLLOW": "1",
        }
    )
    assert found == [
        "logs",
        "--stack-name=trading-platform-service-uswest2-qa--pr-42",
        "--region=us-west-2",
        "--cw-log-group=/aws/apigateway/trading-platform-service-uswest2-qa--pr-42",
        "--start-time=2 hours ago",
        '--filter="4008b8c6-4a6d-430d-b706-ccbd83963398"',
        "--tail",
    ]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SINCE": "yesterday"}, "SINCE 'yesterday': use a number with s, m, h or d, as in 10m"),
        ({"REQUEST_ID": '" || "'}, "REQUEST_ID"),
        ({"REGIONS": "us-east-1,us-west-2"}, "REGIONS: logs are shown for one region"),
        ({"ENVIRONMENT_SUFFIX": "Not Valid"}, "ENVIRONMENT_SUFFIX"),
    ],
)
def test_what_cannot_be_asked_for_is_one_clear_line(
    variables: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError) as refused:
        sam_arguments(variables)
    assert message in str(refused.value)
