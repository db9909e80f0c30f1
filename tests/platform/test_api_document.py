"""The deployed API answers as its OpenAPI document says."""

import schemathesis
from schemathesis.specs.openapi.checks import unsupported_method

from service.tools import openapi
from tests.platform.conftest import Platform
from tests.support.documented import check_answer, examples

schema = schemathesis.openapi.from_dict(openapi.document())


@schema.parametrize()
@examples(10)
def test_no_request_gets_an_answer_that_is_not_documented(
    case: schemathesis.Case, platform: Platform
) -> None:
    response = case.call(base_url=platform.trade_url.removesuffix("/trade"), timeout=30)
    # API Gateway itself answers a path's other methods, with a 403.
    check_answer(case, response, unsupported_method)
