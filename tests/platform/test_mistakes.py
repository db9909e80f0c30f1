"""A few mistakes of operators on the shared platform; `make test-mistakes` makes all of them."""

import json

import pytest

from tests.mistakes.campaign import check_refused, make
from tests.mistakes.matrix import written
from tests.mistakes.mistakes import MISTAKES, STANDARD, Mistake
from tests.mistakes.operator import Shop
from tests.mistakes.shops import standard_shop
from tests.platform.conftest import Platform
from tests.platform.test_local_platform import book

SMALL = [mistake for mistake in MISTAKES if mistake.small]


@pytest.fixture(scope="module")
def shop(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    book(platform)
    return standard_shop(platform, tmp_path_factory.mktemp("mistakes"))


@pytest.mark.parametrize("mistake", SMALL, ids=str)
def test_a_mistake_ends_in_a_line_that_helps_and_changes_nothing(
    shop: Shop, mistake: Mistake
) -> None:
    outcome = make(shop, mistake)
    check_refused(outcome, mistake)
    for key, value in mistake.edits.items():
        word = written()[f"{key} = {json.dumps(value)}", STANDARD]
        assert f"{shop.stack}: {word}\n" in outcome.said
