"""The OpenAPI document says what the API does."""

from __future__ import annotations

import re
from typing import Any

import pytest
import schemathesis
import yaml

from service.tools import openapi
from tests.service.conftest import ROOT
from tests.support.documented import check_answer, examples
from tests.support.gateway import gateway
from trading import fields
from trading.api import app
from trading.errors import TradingError

DOCUMENT = openapi.document()


def operations() -> set[tuple[str, str]]:
    return {
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method in item
        if method != "parameters"
    }


def test_the_committed_document_is_up_to_date() -> None:
    assert openapi.FILE.read_text() == openapi.render(), "run `make openapi`"


def test_every_route_of_the_code_is_documented_and_no_other() -> None:
    routes = {
        (route.method, re.sub(r"<(\w+)>", r"{\1}", route.path))
        for route in app._static_routes + app._dynamic_routes
    }
    assert routes == operations()


def test_every_documented_route_leads_to_the_function_and_no_other() -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda *_: None)
    template: dict[str, Any] = yaml.load(
        (ROOT / "service" / "template.yaml").read_text(), Loader=Loader
    )
    events = template["Resources"]["TradeFunction"]["Properties"]["Events"].values()
    routes = {(e["Properties"]["Method"], e["Properties"]["Path"]) for e in events}
    assert routes == operations()


def test_every_problem_has_a_code_of_its_own_that_is_documented() -> None:
    codes = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    own = [error.code for error in (TradingError, *TradingError.__subclasses__())]
    assert sorted(own) == codes
    assert len(set(own)) == len(own)


@pytest.mark.parametrize(
    "name",
    [
        *fields.ORDER,
        *fields.FILTERS,
        *fields.BATCH,
        *fields.LIST_EVENTS,
        *fields.LIST_POSITIONS,
        *fields.OUTCOMES,
        *DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"],
        *(f"{method} {path}" for method, path in sorted(operations())),
    ],
)
def test_the_page_about_the_api_names_every_field_filter_code_and_route(name: str) -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    assert f"`{name}`" in page or f"`{name}?" in page


schema = schemathesis.openapi.from_dict(DOCUMENT)
schema.app = gateway


@schema.parametrize()
@examples(30, 1_000)
@pytest.mark.usefixtures("service")
def test_no_request_gets_an_answer_that_is_not_documented(case: schemathesis.Case) -> None:
    check_answer(case, case.call())
