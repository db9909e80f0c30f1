"""Which lines `make logs` asks for. tests/platform/test_logs.py reads real ones."""

from datetime import timedelta

import pytest

from service.deploy.logs import Wanted
from service.deploy.target import Copy
from shared.cli.errors import UserError


def test_by_default_the_last_ten_minutes_of_the_trade_function_are_shown() -> None:
    assert Wanted.from_environment({}) == Wanted(
        copy=Copy("us-east-1", "dev"),
        function="TradeFunction",
        since=timedelta(minutes=10),
        request="",
        follow=False,
    )


def test_one_request_in_the_access_log_of_a_preview_is_followed() -> None:
    request = "4008b8c6-4a6d-430d-b706-ccbd83963398"
    wanted = Wanted.from_environment(
        {
            "ENVIRONMENT_SUFFIX": "qa",
            "REGIONS": "us-west-2",
            "SERVICE_STAGE": "pr-42",
            "FUNCTION": "api",
            "SINCE": "2h",
            "REQUEST_ID": request,
            "FOLLOW": "1",
        }
    )
    copy = Copy("us-west-2", "qa", "pr-42")
    assert wanted == Wanted(copy, "api", timedelta(hours=2), request, follow=True)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SINCE": "yesterday"}, "SINCE 'yesterday': use a number with s, m, h or d, as in 10m"),
        ({"REQUEST_ID": '" || "'}, "REQUEST_ID"),
        ({"REGIONS": "us-east-1,us-west-2"}, "REGIONS: logs are shown for one region"),
        ({"ENVIRONMENT_SUFFIX": "Not Valid"}, "ENVIRONMENT_SUFFIX"),
    ],
)
def test_an_invalid_request_for_logs_is_one_clear_line(
    variables: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError) as refused:
        Wanted.from_environment(variables)
    assert message in str(refused.value)
