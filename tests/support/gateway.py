"""API Gateway in front of the handler, as a WSGI application."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from tests.service.conftest import ROOT, context
from trading import api

EVENT = json.loads((ROOT / "service" / "events" / "post_trade.json").read_text())


def gateway(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answer one request as a REST API with Lambda proxy integration does."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_") or name == "CONTENT_TYPE"
    }
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    answer = api.handler(
        {
            **EVENT,
            "httpMethod": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"],
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "multiValueQueryStringParameters": parse_qs(
                environ["QUERY_STRING"], keep_blank_values=True
            ),
            "body": base64.b64encode(body).decode(),
            "isBase64Encoded": True,
        },
        context(),
    )
    status = HTTPStatus(answer["statusCode"])
    start_response(
        f"{status.value} {status.phrase}",
        [(name, value) for name, values in answer["multiValueHeaders"].items() for value in values],
    )
    return [answer["body"].encode()]
