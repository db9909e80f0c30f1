"""GET /docs in a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.platform.conftest import Platform
from tests.support.browser import Page, browser

POST = ".opblock-post"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with browser(tmp_path / "profile") as page:
        yield page


def test_a_person_books_a_trade_in_the_browser(platform: Platform, page: Page) -> None:
    api = platform.trade_url.removesuffix("/trade")
    page.open(f"{api}/docs")
    paths = json.loads(requests.get(f"{api}/docs/openapi.json", timeout=30).text)["paths"]
    operations = sum(key != "parameters" for item in paths.values() for key in item)
    page.wait_for(f"document.querySelectorAll('.opblock').length === {operations}")

    page.evaluate(f"document.querySelector('{POST} .opblock-summary-control').click()")
    page.wait_for(f"!!document.querySelector('{POST} .execute')")
    body = page.wait_for(f"document.querySelector('{POST} textarea')?.value ?? ''")
    # The examples are the document's, without a made-up key.
    assert json.loads(body) == {"symbol": "AAPL", "quantity": 100}
    assert page.evaluate(f"document.querySelector('{POST} input').value") == ""
    page.evaluate(f"document.querySelector('{POST} .execute').click()")
    answer = f"(document.querySelector('{POST} .live-responses-table')?.innerText ?? '')"
    shown = page.wait_for(f"{answer}.includes('TRADE-') && {answer}")

    assert "200" in shown
    trade_id = json.loads(shown[shown.index("{") : shown.index("}") + 1])["trade_id"]
    trade = requests.get(f"{platform.trade_url}/{trade_id}", timeout=30).json()
    assert (trade["symbol"], trade["quantity"], trade["client_order_id"]) == ("AAPL", 100, None)
    assert not page.complaints
    here = urlsplit(api).netloc
    assert {urlsplit(url).netloc for url in page.requests if not url.startswith("data:")} == {here}
