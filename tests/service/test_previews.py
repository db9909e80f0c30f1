"""What `make previews` prints. tests/platform creates real previews."""

from datetime import UTC, datetime, timedelta

import pytest

from service.deploy.previews import Preview, duration, listing

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (timedelta(seconds=59), "0 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1), "1 h"),
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=40), "40 d"),
    ],
)
def test_a_duration_is_told_in_its_largest_whole_unit(time: timedelta, text: str) -> None:
    assert duration(time) == text


def test_a_preview_is_a_line_also_if_it_never_got_an_api() -> None:
    preview = Preview(
        stage="pr-42",
        region="us-east-1",
        created=NOW - timedelta(days=3),
        released=NOW - timedelta(hours=5),
        status="DELETE_FAILED",
        url="",
    )
    heading, line = listing([preview], NOW).splitlines()
    assert heading.split("  ")[0] == "STAGE"
    assert " ".join(line.split()) == "pr-42 us-east-1 3 d 5 h ago DELETE_FAILED none"
