"""What API Gateway checks in the body of POST /trade: `python -m service.tools.request_model`.

Made from the schema in `openapi.json`, in the older kind of schema that API Gateway validates with
(JSON Schema draft 4). A test compares the committed `request-model.json` with what this makes.
https://docs.aws.amazon.com/apigateway/latest/developerguide/models-mappings-models.html
"""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1]
FILE = FOLDER / "request-model.json"

_KEYWORDS = {
    "additionalProperties", "enum", "maxLength", "maximum", "minLength", "minimum", "pattern",
    "required",
}  # fmt: skip


def document(definition: dict[str, Any]) -> dict[str, Any]:
    """The request model that follows from an OpenAPI document, as plain data."""
    operation = definition["paths"]["/trade"]["post"]
    reference: str = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schema = definition["components"]["schemas"][reference.rpartition("/")[2]]
    return {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "title": "NewTrade",
        **_model(schema),
        "properties": {name: _model(field) for name, field in schema["properties"].items()},
    }


def _model(schema: dict[str, Any]) -> dict[str, Any]:
    # 100.0 is a whole number to the service, but to draft 4 it is no integer.
    type_ = "number" if schema["type"] == "integer" else schema["type"]
    return {"type": type_, **{name: schema[name] for name in sorted(_KEYWORDS & schema.keys())}}


def main() -> None:
    """Write the request model."""
    definition = json.loads((FOLDER / "openapi.json").read_text())
    FILE.write_text(json.dumps(document(definition), indent=2) + "\n")


if __name__ == "__main__":
    main()
