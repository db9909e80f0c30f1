"""Serves `GET /docs` and the files of that page."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aws_lambda_powertools
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

_HERE = Path(__file__).parent
# Powertools contains Swagger UI; the hash in requirements.txt pins its version. The package around
# these files cannot be imported, because it needs Pydantic, which is not in the layer.
_SWAGGER_UI = Path(aws_lambda_powertools.__file__).parent / "event_handler/openapi/swagger_ui"
_DEFINITION = Path(os.environ.get("LAMBDA_TASK_ROOT", ".")) / "openapi.json"

_HEADERS = {
    "Cache-Control": "no-store",
    # Nothing is loaded from elsewhere. Swagger UI needs inline styles, and data URLs for icons.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}

logger = Logger()


@dataclass(frozen=True)
class _File:
    path: Path
    content_type: str


_PAGE = _File(_HERE / "page.html", "text/html; charset=utf-8")
_FILES = {
    "start.js": _File(_HERE / "start.js", "text/javascript; charset=utf-8"),
    "swagger-ui.js": _File(
        _SWAGGER_UI / "swagger-ui-bundle.min.js", "text/javascript; charset=utf-8"
    ),
    "swagger-ui.css": _File(_SWAGGER_UI / "swagger-ui.min.css", "text/css; charset=utf-8"),
    "openapi.json": _File(_DEFINITION, "application/json"),
}


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answer one request of API Gateway (REST API, Lambda proxy integration)."""
    name = (event.get("pathParameters") or {}).get("file")
    file = _FILES.get(name) if name else _PAGE
    if file is None:
        return _not_found(event)
    return _answer(HTTPStatus.OK, file.content_type, file.path.read_text("utf-8"))


def _not_found(event: dict[str, Any]) -> dict[str, Any]:
    problem = {
        "type": "about:blank",
        "title": "Not found",
        "status": int(HTTPStatus.NOT_FOUND),
        "code": "NOT_FOUND",
        "detail": "The documentation has no such file.",
        "request_id": event["requestContext"]["requestId"],
    }
    return _answer(HTTPStatus.NOT_FOUND, "application/problem+json", json.dumps(problem))


def _answer(status: HTTPStatus, content_type: str, body: str) -> dict[str, Any]:
    return {
        "statusCode": int(status),
        "headers": {"Content-Type": content_type, **_HEADERS},
        "body": body,
    }
