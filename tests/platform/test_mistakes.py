"""A few mistakes of operators on the shared platform; `make test-mistakes` makes all of them."""

import pytest

from tests.mistakes.campaign import check_refused, make
from tests.mistakes.conftest import standard_shop
from tests.mistakes.mistakes import DOCUMENTS, MISTAKES, STANDARD, Mistake
from tests.mistakes.operator import Shop
from tests.platform.conftest import Platform
from tests.platform.test_local_platform import book

SMALL = [mistake for mistake in MISTAKES if mistake.small]


@pytest.fixture(scope="module")
def shop(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    book(platform)
    folder = tmp_path_factory.mktemp("mistakes")
    return standard_shop(platform, Shop(platform.settings, folder, STANDARD, DOCUMENTS[STANDARD]))


@pytest.mark.parametrize("mistake", SMALL, ids=str)
def test_a_mistake_ends_in_a_line_that_helps_and_changes_nothing(
    shop: Shop, mistake: Mistake
) -> None:
    check_refused(make(shop, mistake), mistake)
